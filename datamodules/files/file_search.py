"""Finding photographs in folders."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from datamodules.files.folder_entries import has_suffix, holds_runs, is_file, is_folder, unlistable
from datamodules.files.ignored_names import reason_by_name
from datamodules.files.passed_over import PassedOver
from datamodules.reading.file_kinds import HEAD, recognise, refusal

OTHER, LOOP = "not a picture", "reached by a link again"
RUNS = "in runs of this project"


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
