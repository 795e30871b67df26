"""Folders of this machine that are copies of folders in object storage."""

from pathlib import Path

_copies: dict[Path, str] = {}


def note_copy(folder: Path, url: str) -> None:
    """Remember that a folder is a copy, so that it is shown by its URL.

    Args:
        folder: The folder.
        url: What it is a copy of.
    """
    _copies[folder.absolute()] = url


def url_of(path: Path) -> str | None:
    """Find what a file or a folder is the copy of.

    Args:
        path: Its path.

    Returns:
        The URL; None if it is no copy.
    """
    path = path.absolute()
    for folder, url in _copies.items():
        if path.is_relative_to(folder):
            return "/".join((url, *path.relative_to(folder).parts))
    return None
