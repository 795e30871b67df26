"""Leaves images out."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.amending.listed_files import ListedFiles
from datamodules.files.text_files import decode_lines, decode_text


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
    listed = ListedFiles(files, folder, f"data.exclude, {exclude}")
    found: set[str] = set()
    for number, line in enumerate(decode_lines(text), start=1):
        comment = line.startswith("#") and not os.path.lexists(listed.path(line))
        if line.strip() and not comment:
            found.update(listed.find(line, number))
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
