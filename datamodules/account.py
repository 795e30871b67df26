"""Reports of every file below a data set's root whether it is used, and if not, why."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from datamodules.files.file_search import find_images
from datamodules.files.passed_over import PassedOver
from datamodules.files.path_spelling import real_place
from datamodules.in_words import listed
from datamodules.layouts import SPLIT_FILE, Layout, Part
from datamodules.samples import Samples

MISSING = "in the table but missing"
UNLABELLED = "without a label"
GONE = f"recorded in {SPLIT_FILE} but gone"
NOT_RECORDED = f"not in {SPLIT_FILE}"


def account_for(root: Path, layout: Layout, files: Iterable[str]) -> PassedOver:
    """Find the files of a data set that aren't used.

    Args:
        root: The folder that was named, or the table: then the folders of its files are looked at, but not what is
            below them.
        layout: What was recognised in it.
        files: The files that it lists, whose parts have been read; they aren't asked for where folders were searched.

    Returns:
        What isn't used, by reason, and what is listed but missing.
    """
    passed = PassedOver()

    def note_closed(error: OSError) -> None:
        passed.note(f"unreadable ({error.strerror})", str(error.filename))

    if layout.searched:  # only what lies beside those folders is left to be looked at
        used: set[str] = set()
        for noted in layout.passed.values():
            passed.add(noted)
        searched = frozenset(_below(root, path) for path in layout.searched)
        found = {_plain(file) for file in find_images(root, passed, note_closed, searched=searched)}
    elif root.is_dir():
        used = {_plain(file) for file in files}
        found = {_plain(file) for file in find_images(root, passed, note_closed)}
    else:
        used = {_plain(file) for file in files}
        folders = {os.path.dirname(file) or "." for file in used}  # noqa: PTH120
        there = [folder for folder in sorted(folders) if os.path.isdir(folder)]  # noqa: PTH112
        ignore = PassedOver()
        found = {_plain(file) for folder in there for file in find_images(folder, ignore, note_closed, recursive=False)}
    for file in sorted(found - used - _otherwise_written(found - used, used - found)):
        passed.note(_reason(layout), file, picture=True)
    for file in sorted(used - found):
        if not os.path.lexists(file):
            passed.note(MISSING, file, picture=True)
    for file in layout.gone:
        passed.note(GONE, file, picture=True)
    record = [layout.split_file] if layout.split_file else []
    passed.forget([*layout.own_files, *(layout.annotations or {}).values(), *record])
    return passed


def tell(passed: PassedOver, root: Path, used: int) -> None:
    """Summarise in one line what isn't used of a data set.

    Args:
        passed: What isn't used.
        root: The data set.
        used: How many photographs are.
    """
    left = {reason: passed.by_reason[reason] for reason in passed.by_reason if reason != NOT_RECORDED}
    new = passed.count(NOT_RECORDED)
    if new:
        rank_zero_warn(
            f"{new} photographs in {root} are not in {SPLIT_FILE} and won't be used: add them to it, or delete it to "
            "divide all photographs anew."
        )
    if left:
        say = rank_zero_warn if any(item.picture for noted in left.values() for item in noted) else rank_zero_info
        summary = passed.summary([*left])
        say(f"{root}: {used} photographs are listed; passed over: {summary} (train.py check lists them).")


def require_present(passed: PassedOver, table: Path, listed: int) -> None:
    """Refuse a table none of whose files exists.

    Args:
        passed: What isn't there.
        table: The table, or the folder that was recognised.
        listed: How many files it lists.

    Raises:
        MisconfigurationException: If all of them are missing.
    """
    missing = passed.by_reason.get(MISSING, [])
    if listed and len(missing) == listed:
        raise MisconfigurationException(
            f"None of the {listed} files that {table} lists exists, such as {missing[0].path}: its paths are relative "
            "to its own folder, so put it beside the photographs or mend them."
        )


def tell_untrained(parts: Mapping[Part, Samples], training: Sequence[Part], class_names: Sequence[str]) -> None:
    """Warn of classes that other parts have and training hasn't: a misspelt one becomes an output of the network.

    Args:
        parts: Samples by part.
        training: The parts that train.
        class_names: Names of the classes.
    """
    if "train" not in parts:
        return
    counts = {
        part: np.bincount(samples.labels[samples.labelled()], minlength=len(class_names))
        for part, samples in parts.items()
        if samples.labels is not None
    }
    trained = sum(counts.pop(part) for part in training if part in counts)
    untrained = np.flatnonzero((trained == 0) & (sum(counts.values()) > 0)).tolist()
    if untrained:
        where = {label: [f"{found[label]} in {part}" for part, found in counts.items() if found[label]]
                 for label in untrained}  # fmt: skip
        named = listed([f"{class_names[label]!r} ({', '.join(where[label])})" for label in untrained])
        rank_zero_warn(
            f"No training image is of {'the class' if len(untrained) == 1 else 'the classes'} {named}: mend the "
            "labels, if they are misspelt; else the network has outputs for what it can't learn."
        )


def _below(root: Path, path: Path) -> str:
    """Write a path as it is found below a root, which ``Path`` shortens where it is the working directory."""
    return os.path.join(root, path.relative_to(root))  # noqa: PTH118


def _otherwise_written(found: set[str], used: set[str]) -> set[str]:
    """Find the files that are used under another path, as where a table has absolute ones."""
    if not found or not used:
        return set()
    real_folder = cache(os.path.realpath)
    places = {real_place(file, real_folder) for file in used}
    return {file for file in found if real_place(file, real_folder) in places}


def _plain(file: str) -> str:
    return file.removeprefix("./")


def _reason(layout: Layout) -> str:
    if layout.annotations:
        return UNLABELLED
    if layout.folder.is_file():
        return f"not in {layout.folder.name}"
    return "not in the tables" if layout.kind.endswith("tables") else "outside of the class folders"
