"""Finding photographs in folders, with a record of all that is ignored."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.files.folder_entries import has_suffix, holds_runs, is_file, is_folder, unlistable
from datamodules.reading.file_kinds import HEAD, recognise, refusal

# What archives and network drives put into every folder: thumbnails, deleted files, descriptions.
_SYSTEM = frozenset(
    {
        *("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "@recently-snapshot", "#snapshot", "@tmp"),
        *("system volume information", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    }
)

HIDDEN, OTHER, LOOP = "hidden", "not a picture", "reached by a link again"
SYSTEM = "of the system (thumbnails, deleted files)"
RUNS = "in runs of this project"


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


def find_images(
    folder: str | Path,
    passed: PassedOver | None = None,
    unlisted: Callable[[OSError], None] | None = None,
    recursive: bool = True,
    searched: frozenset[str] = frozenset(),
) -> list[str]:
    """List the photographs below a folder, in sorted order.

    A file with the suffix of a picture counts as one without being opened; any other is recognised by its content.

    Args:
        folder: The folder; its sub-folders are searched as well, but not hidden ones, and each folder once, however
            many links lead to it.
        passed: Where to note what isn't listed.
        unlisted: Takes the error of each folder that can't be listed, its ``filename`` being the folder, and the
            search continues without; None refuses to go on.
        recursive: Whether to search sub-folders.
        searched: Sub-folders, as they are called below ``folder``, that were searched already.

    Returns:
        The paths, each starting with ``folder``. Links are listed without a look at what they point to.

    Raises:
        MisconfigurationException: If a folder can't be listed.
    """
    top = str(folder)
    real = os.path.realpath(top)
    above = {real}
    while (parent := os.path.dirname(real)) != real:  # noqa: PTH120
        above.add(parent)
        real = parent
    noted = PassedOver() if passed is None else passed
    return list(_images_below(top, os.path.realpath(top), above, noted, unlisted, recursive, searched))


def _images_below(
    folder: str,
    real: str,
    seen: set[str],
    passed: PassedOver,
    unlisted: Callable[[OSError], None] | None,
    recursive: bool,
    searched: frozenset[str],
) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if unlisted is None:
            raise unlistable(folder, error) from error
        unlisted(error)
        return
    for entry in listed:
        reason = reason_by_name(entry.name)
        if reason:
            passed.note(reason, entry.path, _count(entry))
        elif has_suffix(entry) and (entry.is_symlink() or is_file(entry)):
            yield entry.path
        elif is_folder(entry):
            if not recursive or entry.path in searched:
                continue
            if holds_runs(entry.path):
                passed.note(RUNS, entry.path, _count(entry))
                continue
            place = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}/{entry.name}"
            if place in seen:
                passed.note(LOOP, entry.path)
                continue
            seen.add(place)
            yield from _images_below(entry.path, place, seen, passed, unlisted, recursive, searched)
        elif _is_picture(entry, passed):
            yield entry.path


def reason_by_name(name: str) -> str:
    """Check whether a file or a folder is ignored because of its name.

    Args:
        name: Its name.

    Returns:
        The reason; empty if there is none.
    """
    if name[0] == ".":
        return HIDDEN
    return SYSTEM if name.lower() in _SYSTEM else ""


def _is_picture(entry: os.DirEntry[str], passed: PassedOver) -> bool:
    """Recognise a file without a picture's suffix by its content."""
    if not is_file(entry):  # a pipe would never end
        passed.note(OTHER, entry.path)
        return False
    try:
        with open(entry.path, "rb") as file:  # noqa: PTH123 - perhaps one of a million
            kind = recognise(file.read(HEAD))
    except OSError as error:
        passed.note(f"unreadable ({error.strerror})", entry.path)
        return False
    if kind is None or not kind.picture:
        passed.note(OTHER, entry.path)
        return False
    reason = refusal(kind)
    if reason:
        passed.note(f"in {kind.format} format ({kind.remedy})", entry.path, detail=reason)
    return not reason


def _count(entry: os.DirEntry[str]) -> int:
    """Count the files of a folder that is ignored as a whole."""
    if not entry.is_dir(follow_symlinks=False):
        return 1
    return sum(len(files) for _, _, files in os.walk(entry.path))


def holds_images(folder: str | Path) -> bool:
    """Check whether a folder holds a photograph itself, not in its sub-folders.

    Args:
        folder: The folder.

    Returns:
        Whether it does.
    """
    others = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if reason_by_name(entry.name) or is_folder(entry):
                    continue
                if has_suffix(entry):
                    return True
                others.append(entry)
    except OSError as error:
        raise unlistable(folder, error) from error
    return any(_is_picture(entry, PassedOver()) for entry in others)
