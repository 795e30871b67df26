"""Photographs that were deleted from class folders whose division is recorded."""

import os

import numpy as np
import numpy.typing as npt

from datamodules.layouts.class_name import class_name
from datamodules.layouts.table_rows import Rows


def gone_from_folders(rows: Rows) -> npt.NDArray[np.bool_]:
    """Find the rows of a record whose photographs were deleted: in class folders, the folders say what there is.

    Args:
        rows: The rows of ``split.csv``.

    Returns:
        Whether each is gone, bool of shape (n,), but not those whose label isn't the folder that they lay in, which
        somebody has written by hand; and none if all are.
    """
    base = f"{rows.path.parent}/" if str(rows.path.parent) != "." else ""
    there: dict[str, set[str]] = {}
    gone = np.zeros(len(rows.files), dtype=bool)
    for row, (file, label) in enumerate(zip(rows.files.tolist(), rows.labels, strict=True)):
        folder, _, name = file.rpartition("/")
        if folder not in there:  # a list of each folder, not a question for each of a million files
            there[folder] = _listed(folder)
        if name not in there[folder] and _is_absent(file):
            gone[row] = label is not None and class_name(file.removeprefix(base)).startswith(f"{label}/")
    return gone & ~gone.all()


def _listed(folder: str) -> set[str]:
    try:
        return {*os.listdir(folder or ".")}  # noqa: PTH208
    except OSError:
        return set()


def _is_absent(file: str) -> bool:
    try:
        os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # what can't be looked at may be there
        return False
    return False
