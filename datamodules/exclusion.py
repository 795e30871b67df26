"""Leaving images out."""

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.path_spelling import existing_path
from datamodules.text_files import decode_lines, decode_text


def excluded_files(files: Iterable[str], folder: Path, exclude: str) -> set[str]:
    """Find the files that a list leaves out.

    Args:
        files: All files of the data set.
        folder: What the listed paths are relative to.
        exclude: Text file with one path a line: files, or folders with all that is in them, however spelled. Empty
            lines don't count, nor do those that begin with ``#``, unless a file is called so. A line may be a JSON
            string, for names that a line can't hold.

    Returns:
        Those of ``files`` that are meant.

    Raises:
        MisconfigurationException: If the list can't be read, or a line of it means none of the files.
    """
    try:
        text, _ = decode_text(Path(exclude).read_bytes(), lambda _: True)
    except (OSError, ValueError) as error:
        raise MisconfigurationException(f"Can't read data.exclude, {exclude}: {error}.") from error
    names = [*files]
    real_folder = cache(os.path.realpath)
    found: set[str] = set()
    by_place: dict[str, list[str]] = {}
    for name in names:
        by_place.setdefault(_real(name, real_folder), []).append(name)
    below: dict[str, list[str]] = {}
    for number, line in enumerate(decode_lines(text), start=1):
        if not line.strip():
            continue
        path = existing_path(str(folder), line)
        if line.startswith("#") and not os.path.lexists(path):
            continue
        if not os.path.lexists(path):
            raise MisconfigurationException(f"data.exclude, {exclude}, lists {path}, which doesn't exist.")
        place = os.path.realpath(path) if os.path.isdir(path) else _real(path, real_folder)  # noqa: PTH112
        meant = by_place.get(place, [])
        if not meant and os.path.isdir(path):  # noqa: PTH112
            below = below or _by_folder(by_place)
            meant = below.get(place, [])
        if not meant:  # perhaps a link leads to it
            target = os.path.realpath(path)
            meant = [name for name in names if os.path.realpath(name) == target]
        if not meant:
            raise MisconfigurationException(
                f"data.exclude, {exclude}, lists {path} in line {number}, which is none of the data set's images."
            )
        found.update(meant)
    return found


def _real(path: str, real_folder: Callable[[str], str]) -> str:
    """Find the place of a file, without a look at the file itself: there may be a million."""
    folder, name = os.path.split(path)
    return f"{real_folder(folder).rstrip('/')}/{name}"


def _by_folder(by_place: dict[str, list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for place, names in by_place.items():
        folder = os.path.dirname(place)  # noqa: PTH120
        while folder not in ("/", ""):
            found.setdefault(folder, []).extend(names)
            folder = os.path.dirname(folder)  # noqa: PTH120
    return found


def require_classes(
    labels: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_], class_names: list[str], exclude: str
) -> None:
    """Refuse an exclusion that leaves a class without a training image.

    Args:
        labels: Labels of the training images, int64 of shape (n,).
        kept: Which of them are kept, bool of shape (n,).
        class_names: Names of the classes.
        exclude: The list, for the message.

    Raises:
        MisconfigurationException: If there is such a class.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(class_names))
    left = np.bincount(labels[kept & (labels >= 0)], minlength=len(class_names))
    empty = np.flatnonzero((counts > 0) & (left == 0))
    if len(empty):
        names = ", ".join(repr(class_names[label]) for label in empty[:5])
        raise MisconfigurationException(
            f"data.exclude, {exclude}, leaves no training image of {names}"
            + (f" and {len(empty) - 5} other classes" if len(empty) > 5 else "")
            + ": shorten it, or take the class out of the data set."
        )
