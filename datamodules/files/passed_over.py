"""A record of the files of a data set that aren't used, and why."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Passed(NamedTuple):
    """A file or a folder that isn't used.

    Attributes:
        path: Its path.
        files: How many files this stands for.
        picture: Whether it is a picture, which would be used if it could be.
        detail: Why this one isn't used, where its reason is about many.
    """

    path: str
    files: int = 1
    picture: bool = False
    detail: str = ""


class PassedOver:
    """The files of a data set that aren't used, by reason.

    Attributes:
        by_reason: The files and folders of each reason.
    """

    def __init__(self) -> None:
        self.by_reason: dict[str, list[Passed]] = {}

    def note(self, reason: str, path: str, files: int = 1, picture: bool = False, detail: str = "") -> None:
        """Note a file or a folder.

        Args:
            reason: Why it isn't used, to be read after a number.
            path: Its path.
            files: How many files it stands for.
            picture: Whether it is a picture, as one with a detail is.
            detail: Why this one isn't used, where the reason is about many.
        """
        self.by_reason.setdefault(reason, []).append(Passed(path, files, picture or bool(detail), detail))

    def add(self, other: "PassedOver") -> None:
        """Merge another account into this one.

        Args:
            other: The other account.
        """
        for reason, noted in other.by_reason.items():
            self.by_reason.setdefault(reason, []).extend(noted)

    def take_pictures(self) -> list[tuple[str, str]]:
        """Take out the pictures, which are passed over since they can't be read.

        Returns:
            Path and reason of each, sorted by path.
        """
        taken = []
        for reason, noted in [*self.by_reason.items()]:
            taken += [(item.path, item.detail or reason) for item in noted if item.picture]
            self.by_reason[reason] = [item for item in noted if not item.picture]
            if not self.by_reason[reason]:
                del self.by_reason[reason]
        return sorted(taken)

    def forget(self, paths: Iterable[Path]) -> None:
        """Remove files that are used after all, such as tables.

        Args:
            paths: Their paths.
        """
        known = {os.path.abspath(path) for path in paths}  # noqa: PTH100 - links stay as they are
        for reason, noted in [*self.by_reason.items()]:
            kept = [item for item in noted if os.path.abspath(item.path) not in known]  # noqa: PTH100
            if kept:
                self.by_reason[reason] = kept
            else:
                del self.by_reason[reason]

    def count(self, reason: str) -> int:
        """Count the files of a reason.

        Args:
            reason: The reason.

        Returns:
            Their number.
        """
        return sum(item.files for item in self.by_reason.get(reason, []))

    def summary(self, reasons: Iterable[str] | None = None) -> str:
        """Summarise everything in one line.

        Args:
            reasons: Those to be named; None names all.

        Returns:
            Text like ``30 HEIC pictures, 2 hidden``, the most frequent reason first; empty if there is none.
        """
        counts = {reason: self.count(reason) for reason in (self.by_reason if reasons is None else reasons)}
        return ", ".join(f"{counts[reason]} {reason}" for reason in sorted(counts, key=lambda key: -counts[key]))
