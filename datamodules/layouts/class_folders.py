"""A folder for each class, below train, val and test or by itself."""

import os
from functools import partial
from pathlib import Path

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.image_reader import IMAGE_SUFFIXES, find_images
from datamodules.layouts.car_names import CAR_NAMES, official_index
from datamodules.layouts.layout import SPLIT_FILE, Layout, Part
from datamodules.samples import Samples

_SPELLINGS: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_HALF_NAMES = {name.partition("/")[0] for name in CAR_NAMES if "/" in name}


def recognise_divided(folder: Path, evaluation: bool = False) -> Layout | None:
    """Recognise ``train/CLASS/*`` and its like: any of train, val and test.

    Args:
        folder: A folder.
        evaluation: Whether classes come from a checkpoint, so that the parts may have different ones.

    Returns:
        The layout with the parts there are, and the classes of the first of them, in an evaluation followed by those
        that only others have; None if this is something else.
    """
    places: dict[Part, Path] = {}
    for part, spellings in _SPELLINGS.items():
        found = [folder / name for name in spellings if (folder / name).is_dir() and _subfolders(folder / name)]
        if found:
            places[part] = found[0]
    if not places:
        return None
    # the first part's in their order, which decides what the validation split consists of
    names = dict.fromkeys(_class_folders(next(iter(places.values()))))
    if evaluation:
        names |= dict.fromkeys(name for place in places.values() for name in _class_folders(place))
    return Layout(
        "class folders",
        folder,
        list(names),
        {part: partial(_read, place, list(names), full=part == "train") for part, place in places.items()},
    )


def recognise_undivided(folder: Path, fewest: int = 2, evaluation: bool = False) -> Layout | None:
    """Recognise ``CLASS/*`` without a division into parts.

    Args:
        folder: A folder.
        fewest: How many sub-folders have to hold photographs.
        evaluation: Whether classes come from a checkpoint, so that those without photographs do no harm.

    Returns:
        The layout with the part ``all``; None if too few sub-folders hold photographs, or one is called like a part.
    """
    names = _class_folders(folder)
    if any(name in spellings for spellings in _SPELLINGS.values() for name in names):
        return None
    if sum(_holds_images(path) for path in names.values()) < fewest:
        return None
    return Layout(
        "class folders without a split",
        folder,
        list(names),
        {"all": partial(_read, folder, list(names), full=not evaluation)},
        split_file=folder / SPLIT_FILE,
    )


def _read(folder: Path, class_names: list[str], full: bool) -> Samples:
    folders = _class_folders(folder)
    unknown = sorted(set(folders) - set(class_names))
    if unknown:
        raise MisconfigurationException(
            f"{folders[unknown[0]]} is a class that the first of the parts doesn't have: rename or remove it."
        )
    files: list[str] = []
    counts = np.zeros(len(class_names), dtype=np.int64)
    for label, name in enumerate(class_names):
        images = find_images(folders[name]) if name in folders else []
        if name in folders and not images and full:
            raise MisconfigurationException(f"The class folder {folders[name]} holds no images.")
        counts[label] = len(images)
        files += images
    return Samples(np.array(files, dtype=np.str_), np.repeat(np.arange(len(class_names)), counts))


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name[0] != "." and entry.name != "__MACOSX" and entry.is_dir()
        )  # fmt: skip
    strange = next((name for name in names if not _is_text(name)), None)
    if strange is not None:
        raise MisconfigurationException(f"{folder} has a folder whose name is no UTF-8, {strange!r}: rename it.")
    return names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _class_folders(folder: Path) -> dict[str, Path]:
    """Map class names to folders; a name with a slash, which unpacked into two folders, is put together again."""
    folders: dict[str, Path] = {}
    for name in _subfolders(folder):
        inner = _subfolders(folder / name) if name in _HALF_NAMES else []
        official = [f"{name}/{below}" for below in inner if official_index(f"{name}/{below}") is not None]
        for found in official or [name]:
            folders[found] = folder / found
    return folders


def _holds_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES for entry in entries)  # noqa: PTH122
