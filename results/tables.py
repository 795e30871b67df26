"""Writes tables that spreadsheets open correctly."""

from pathlib import Path

from runs.whole_file import write_atomically


def write_csv(path: Path, text: str) -> None:
    """Write a CSV file, whole or not at all.

    Excel takes UTF-8 for the code page of the system unless a byte order mark tells it, which it gets where there is
    anything but ASCII. Cells stay as they are, those too that begin with ``=`` or ``@``, which spreadsheets compute:
    programs read these files, and a name with something put before it would be another name.

    Args:
        path: The file.
        text: Its content.
    """
    write_atomically(path, text if text.isascii() else f"\ufeff{text}")
