"""A folder for each class, below train, val and test or by itself."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.file_search import find_images, holds_images
from datamodules.files.folder_entries import holds_runs, is_folder, unlistable
from datamodules.files.ignored_names import reason_by_name
from datamodules.files.passed_over import PassedOver
from datamodules.in_words import listed
from datamodules.layouts.car_names import CAR_NAMES, official_index
from datamodules.layouts.class_name import class_name, respelled
from datamodules.layouts.layout import SPLIT_FILE, ClassLevel, Layout, Part
from datamodules.layouts.part_names import by_part, part_of
from datamodules.layouts.table_rows import part_layout
from datamodules.layouts.tables import list_tables
from datamodules.samples import Samples

Folders: TypeAlias = dict[str, list[Path]]  # of each class; several where systems spell its name in several ways

_HALF_NAMES = {name.partition("/")[0] for name in CAR_NAMES if "/" in name}


def recognise_divided(folder: Path, evaluation: bool = False, level: ClassLevel = None) -> Layout | None:
    """Recognise ``train/CLASS/*`` and its like: any of train, val and test, whatever they are called.

    Args:
        folder: A folder.
        evaluation: Whether classes come from a checkpoint, so that the parts may have different ones.
        level: Which folders are classes; None takes the outer ones if they hold photographs.

    Returns:
        The layout with the parts there are, and the classes of the first of them, in an evaluation followed by those
        that only others have; None if this is something else. Parts with a table, such as the ``metadata.csv`` of
        Hugging Face, are read from it.

    Raises:
        MisconfigurationException: If two folders mean the same part, or a table can't be used.
    """
    names = by_part((name for name in _subfolders(folder) if _is_part(folder / name)), folder)
    if not names:
        return None
    places = {part: folder / name for part, name in names.items()}
    tables = {part: list_tables(place) for part, place in places.items()}
    if any(tables.values()):
        lacking = next((places[part] for part, found in tables.items() if len(found) != 1), None)
        if lacking:
            raise MisconfigurationException(
                f"{folder} has a table in one of its parts, but {lacking} has {len(list_tables(lacking))}: each part "
                "needs one, or none if the folders are the classes."
            )
        return part_layout(tables, folder, "image folders with tables")
    level = level or _natural_level(places.values())
    folders = {part: _class_folders(place, level) for part, place in places.items()}
    classes = dict.fromkeys(next(iter(folders.values())))
    passed: dict[Part, PassedOver] = {}
    if evaluation:
        classes |= dict.fromkeys(name for found in folders.values() for name in found)
    return Layout(
        "class folders",
        folder,
        list(classes),
        {
            part: partial(_read, found, list(classes), part, passed, level, full=part == "train")
            for part, found in folders.items()
        },
        passed=passed,
        searched=_searched(folders.values(), level),
        notes=(*_level_note(level, list(classes)), *_spelling_notes(folders.values())),
    )


def recognise_undivided(
    folder: Path, fewest: int = 2, evaluation: bool = False, level: ClassLevel = "outer"
) -> Layout | None:
    """Recognise ``CLASS/*`` without a division into parts.

    Args:
        folder: A folder.
        fewest: How many folders have to hold photographs.
        evaluation: Whether classes come from a checkpoint, so that those without photographs do no harm.
        level: Which folders are classes: the outer ones, or the innermost, called like ``Audi/A4``.

    Returns:
        The layout with the part ``all``; None if too few folders hold photographs, or they are called like parts.
    """
    folders = _class_folders(folder, level)
    outer = {path.relative_to(folder).parts[0] for paths in folders.values() for path in paths}
    if level == "inner" and len(outer) < 2:  # a folder around the classes
        return None
    parts = [name for name in folders if part_of(name)]
    if len(parts) > 1 or len(parts) == len(folders) or (parts and len(folders) < 3):
        return None
    if sum(any(map(holds_images, paths)) for paths in folders.values()) < fewest:
        return None
    passed: dict[Part, PassedOver] = {}
    return Layout(
        "class folders without a split",
        folder,
        list(folders),
        {"all": partial(_read, folders, list(folders), "all", passed, level, full=not evaluation)},
        passed=passed,
        searched=_searched([folders], level),
        split_file=folder / SPLIT_FILE,
        notes=(*_level_note(level, list(folders)), *_spelling_notes([folders])),
    )


def _is_part(place: Path) -> bool:
    return part_of(place.name) is not None and (bool(_subfolders(place)) or bool(list_tables(place)))


def _natural_level(places: Iterable[Path]) -> ClassLevel:
    """Take the outer folders for classes, unless none of them holds photographs itself and all have sub-folders."""
    outer = [path for place in places for paths in _class_folders(place, "outer").values() for path in paths]
    nested = [path for path in outer if not holds_images(path) and _subfolders(path)]
    return "inner" if nested and len(nested) == len(outer) else "outer"


def _level_note(level: ClassLevel, names: list[str]) -> list[str]:
    if level != "inner" or not names:
        return []
    return [
        f"The innermost folders are the classes, such as {names[0]!r}: data.class_folders=outer takes those around "
        "them."
    ]


def _spelling_notes(parts: Iterable[Folders]) -> list[str]:
    """Say which names are spelled in several ways."""
    return respelled(path.name for folders in parts for paths in folders.values() for path in paths)


def _searched(parts: Iterable[Folders], level: ClassLevel) -> tuple[Path, ...]:
    """List the folders that are searched with all that is below them."""
    return tuple(path for folders in parts for paths in folders.values() for path in paths) if level == "outer" else ()


def _read(
    folders: Folders,
    class_names: list[str],
    part: Part,
    passed: dict[Part, PassedOver],
    level: ClassLevel,
    full: bool,
) -> Samples:
    unknown = sorted(set(folders) - set(class_names))
    if unknown:
        raise MisconfigurationException(
            f"{folders[unknown[0]][0]} is a class that the first of the parts doesn't have: rename or remove it."
        )
    files: list[str] = []
    empty: list[str] = []
    noted = passed[part] = PassedOver()
    counts = np.zeros(len(class_names), dtype=np.int64)
    for label, name in enumerate(class_names):
        places = folders.get(name, [])
        here = PassedOver()
        images = [file for place in places for file in find_images(place, here, recursive=level == "outer")]
        noted.add(here)
        if places and not images and full:
            empty.append(f"{places[0]} (only {here.summary()})" if here.by_reason else str(places[0]))
        counts[label] = len(images)
        files += images
    if empty:
        one = len(empty) == 1
        raise MisconfigurationException(
            f"The class folder{'s' * (not one)} {listed(empty)} hold{'s' * one} no images: add some, or remove "
            f"{'it' if one else 'them'}."
        )
    return Samples(np.array(files, dtype=np.str_), np.repeat(np.arange(len(class_names)), counts))


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not reason_by_name(entry.name) and _is_class(entry))
    except OSError as error:
        raise unlistable(folder, error) from error
    strange = next((name for name in names if not _is_text(name)), None)
    if strange is not None:
        raise MisconfigurationException(f"{folder} has a folder whose name is no UTF-8, {strange!r}: rename it.")
    blank = next((name for name in names if not class_name(name)), None)
    if blank is not None:
        raise MisconfigurationException(f"{folder} has a folder whose name is blank, {blank!r}: rename it.")
    return names


def _is_class(entry: os.DirEntry[str]) -> bool:
    return is_folder(entry) and not _leads_up(entry) and not holds_runs(entry.path)


def _leads_up(entry: os.DirEntry[str]) -> bool:
    """Check whether a folder is a link to one that it lies in."""
    if not entry.is_symlink():
        return False
    place = os.path.realpath(os.path.dirname(entry.path))  # noqa: PTH120
    return f"{place}/".startswith(f"{os.path.realpath(entry.path).rstrip('/')}/")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _class_folders(folder: Path, level: ClassLevel) -> Folders:
    """Map class names to folders; a name with a slash, which unpacked into two folders, is put together again."""
    found: Folders = {}
    for name in _subfolders(folder):
        inner = _subfolders(folder / name) if name in _HALF_NAMES else []
        official = [f"{name}/{below}" for below in inner if official_index(f"{name}/{below}") is not None]
        if level == "inner":
            for below in _innermost(folder / name):
                found.setdefault(class_name(str(below.relative_to(folder))), []).append(below)
            continue
        for whole in official or [name]:
            found.setdefault(class_name(whole), []).append(folder / whole)
    return {name: found[name] for name in sorted(found)}


def _innermost(folder: Path) -> list[Path]:
    """List the folders that hold photographs themselves, and those that hold nothing at all."""
    below = _subfolders(folder)
    inner = [path for name in below for path in _innermost(folder / name)]
    return [folder, *inner] if holds_images(folder) or not below else inner
