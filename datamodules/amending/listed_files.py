"""Finds the files of a data set that a list names."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.path_spelling import existing_path, real_place


class ListedFiles:
    """Finds files of a data set by paths as users and programs write them.

    Args:
        files: All files of the data set.
        folder: What relative paths are relative to.
        source: What the list is called, for messages.
    """

    def __init__(self, files: Iterable[str], folder: Path, source: str) -> None:
        self.files = [*files]
        self.folder = str(folder)
        self.source = source
        self._real_folder = cache(os.path.realpath)
        self._below: dict[str, list[str]] | None = None
        self._by_place: dict[str, list[str]] = {}
        for name in self.files:
            self._by_place.setdefault(real_place(name, self._real_folder), []).append(name)

    def path(self, written: str) -> str:
        """Find the file or folder that a written path means, of the data set or not; it needn't exist."""
        return existing_path(self.folder, written)

    def find(self, written: str, number: int) -> list[str]:
        """Find the files that are meant.

        Args:
            written: A path, of a file, or of a folder with all that is in it.
            number: The number of its line.

        Returns:
            Those of ``files`` that are meant, at least one.

        Raises:
            MisconfigurationException: If there is none.
        """
        path = self.path(written)
        place = os.path.realpath(path) if os.path.isdir(path) else real_place(path, self._real_folder)  # noqa: PTH112
        meant = self._by_place.get(place, [])
        if not meant and not os.path.lexists(path):  # one that a table lists may be missing
            raise MisconfigurationException(f"{self.source}, lists {path}, which doesn't exist.")
        if not meant and os.path.isdir(path):  # noqa: PTH112
            self._below = self._below or _by_folder(self._by_place)
            meant = self._below.get(place, [])
        if not meant:  # perhaps a link leads to it
            target = os.path.realpath(path)
            meant = [name for name in self.files if os.path.realpath(name) == target]
        if not meant:
            raise MisconfigurationException(
                f"{self.source}, lists {path} in line {number}, which is none of the data set's images."
            )
        return meant


def _by_folder(by_place: dict[str, list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for place, names in by_place.items():
        folder = os.path.dirname(place)  # noqa: PTH120
        while folder not in ("/", ""):
            found.setdefault(folder, []).extend(names)
            folder = os.path.dirname(folder)  # noqa: PTH120
    return found
