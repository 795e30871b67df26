"""Recognises the entries of a folder: there may be a million, broken links and circular ones."""

import os
from functools import lru_cache
from itertools import chain
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"})
_HISTORY = "history.jsonl"  # which every run has


def holds_runs(folder: str) -> bool:
    """Check whether a folder is a run of this project, or holds runs as ``logs`` and ``logs/EXPERIMENT`` do.

    Args:
        folder: The folder. One that holds a photograph itself and no history is none of them.

    Returns:
        Whether it is, as far as it can be read.
    """
    try:
        return _holds_runs(folder, os.stat(folder).st_mtime_ns)  # noqa: PTH116 - one of thousands, asked several times
    except OSError:
        return False


@lru_cache(maxsize=100_000)
def _holds_runs(folder: str, changed: int) -> bool:  # noqa: ARG001 - a part of the key
    outer = _folders(folder, without_pictures=True)
    below = (path for inner in outer for path in (inner, *_folders(inner)))
    return any(os.path.lexists(f"{path}/{_HISTORY}") for path in chain([folder], below))


def _folders(folder: str, without_pictures: bool = False) -> list[str]:
    """List sub-folders; none as soon as there is a picture, where those of folders without pictures are asked for."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if without_pictures and has_suffix(entry):
                return []
            if entry.is_dir(follow_symlinks=False):
                found.append(entry.path)
    return found


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Check whether an entry is a folder, or a link to one.

    Args:
        entry: The entry.

    Returns:
        Whether it is.
    """
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Check whether an entry is a regular file, or a link to one.

    Args:
        entry: The entry.

    Returns:
        Whether it is.
    """
    try:
        return entry.is_file()
    except OSError:
        return False


def has_suffix(entry: os.DirEntry[str]) -> bool:
    """Check whether an entry is called like a picture.

    Args:
        entry: The entry.

    Returns:
        Whether it is.
    """
    return os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - one of a million


def unlistable(folder: str | Path, error: OSError) -> MisconfigurationException:
    """Say that a folder can't be listed, which a data set can't do without.

    Args:
        folder: The folder.
        error: Why not.

    Returns:
        The error to raise.
    """
    return MisconfigurationException(f"Can't list the folder {folder}: {error.strerror}.")
