"""Photographs that were deleted from class folders whose division is recorded."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.file_search import holds_images
from datamodules.in_words import listed
from datamodules.layouts.car_names import official_index
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
            gone[row] = label is not None and _lies_in(class_name(file.removeprefix(base)), label)
    return gone & ~gone.all()


def vanished_classes(rows: Rows, gone: npt.NDArray[np.bool_]) -> list[str]:
    """Find the classes of which no photograph is left.

    Args:
        rows: The rows of ``split.csv``.
        gone: What ``gone_from_folders`` returned.

    Returns:
        Their names, sorted.

    Raises:
        MisconfigurationException: If beside the folder of one lies one with photographs that aren't recorded: it has
            been renamed, and its photographs would be left out.
    """
    left = {label for label, is_gone in zip(rows.labels, gone.tolist(), strict=True) if not is_gone}
    vanished = sorted({label for label in rows.labels if label is not None and label not in left})
    if not vanished:
        return []
    of_classes = {
        (file.rpartition("/")[0], label) for file, label in zip(rows.files.tolist(), rows.labels, strict=True)
    }
    recorded = {Path(folder) for folder, _ in of_classes}
    empty = sorted({Path(folder) for folder, label in of_classes if label not in left})
    renamed = next(filter(None, (_unrecorded_beside(folder, recorded) for folder in empty)), None)
    if renamed is not None:
        raise MisconfigurationException(
            f"{rows.path} records {listed([repr(name) for name in vanished])}, of which no photograph is left, and "
            f"doesn't know the folder {renamed}, which has some: if that was renamed, write its new name into the rows "
            f"of the old one, or rename it back; else remove these rows, or move {rows.path.name} away to divide "
            "everything anew."
        )
    return vanished


def _lies_in(place: str, label: str) -> bool:
    """Check whether a photograph lies in the folder of a class; those of Stanford Cars are spelled in many ways."""
    if place.startswith(f"{label}/"):
        return True
    official = official_index(label)
    return official is not None and official_index(place.rpartition("/")[0].rpartition("/")[2]) == official


def _unrecorded_beside(folder: Path, recorded: set[Path]) -> Path | None:
    """Find a folder of photographs beside one of a class, in which the record has none."""
    if not folder.parent.is_dir():
        return None
    for other in sorted(folder.parent.iterdir()):
        known = any(one == other or other in one.parents for one in recorded)
        if not known and not other.name.startswith(".") and other.is_dir() and holds_images(other):
            return other
    return None


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
