"""Values separated by commas, semicolons, tabs or bars, as spreadsheets of all countries write them."""

import csv
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from datamodules.files.text_files import decode_text

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


class CsvText(NamedTuple):
    """The cells of a text.

    Attributes:
        format: How it is written, for messages.
        rows: The number of the line that each row begins in, counting from 1, and its cells; empty rows are left out.
    """

    format: str
    rows: list[tuple[int, list[str]]]


def read_csv(path: Path, roles: Callable[[str], object]) -> CsvText:
    """Read a text of separated values, finding out how it is written.

    Args:
        path: The file.
        roles: Tells of a column's name whether it means something; that separator is right which yields most such
            names in the first line, commas if there are none.

    Returns:
        The cells, the first line's among them.

    Raises:
        OSError: If the file can't be read.
        ValueError: If it isn't text.
        csv.Error: If the text can't be taken apart.
    """
    text, encoding = decode_text(path.read_bytes(), lambda raw: _names_files(raw, path.parent))
    first, _, rest = text.partition("\n")
    separator, skipped = first.rstrip("\r").removeprefix("sep="), 1  # a line that Excel understands
    if not first.startswith("sep=") or len(separator) != 1:
        separator = max(_SEPARATORS, key=lambda sign: sum(bool(roles(name)) for name in _first_row(text, sign)))
        rest, skipped = text, 0
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(io.StringIO(rest, newline=""), delimiter=separator)
    rows, before = [], skipped
    for row in reader:
        if any(row):
            rows.append((before + 1, row))
        before = reader.line_num + skipped
    return CsvText(f"separated by {_SEPARATORS.get(separator, repr(separator))}, {encoding}", rows)


def _first_row(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error:
        return []


def _names_files(raw: str, base: Path) -> bool:
    """Check whether cells that aren't UTF-8 name files as they are in bytes: the other cells are UTF-8 then."""
    others = len(raw) - len(raw.encode("ascii", "ignore"))
    strange = len(raw) - len(raw.encode("utf-8", "ignore").decode())
    if others > 2 * strange:  # most of them are UTF-8, which text in another encoding hardly ever looks like
        return True
    lines = (line.rstrip("\r") for line in raw.split("\n") if _has_raw_bytes(line))
    cells = (cell.strip(' "') for line in lines for sign in _SEPARATORS for cell in line.split(sign))
    return any(os.path.lexists(base / cell) for cell in cells if _has_raw_bytes(cell) and "\0" not in cell)


def _has_raw_bytes(text: str) -> bool:
    return any("\udc80" <= sign <= "\udcff" for sign in text)
