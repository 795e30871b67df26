"""Stanford Cars as its devkit has it, and as copies of the devkit have it."""

import re
from pathlib import Path

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.layouts.annotation_files import read_annotations, read_class_names
from datamodules.layouts.car_names import CAR_NAMES
from datamodules.layouts.layout import Layout, Part
from datamodules.samples import Samples

# Where annotation files are found beside or below the pictures' folders ...
_PLACES = (".", "devkit", "car_devkit", "car_devkit/devkit", "annotations")
# ... and what copies call them: 'cars_test_annos_withlabels (1).mat', 'cars_test_annoswithlabels.mat'
_META = re.compile(r"cars_meta.*\.mat")
_ANNOTATIONS: dict[Part, re.Pattern[str]] = {
    "train": re.compile(r"cars_train_annos.*\.mat"),
    "test": re.compile(r"cars_test_annos_?with_?labels.*\.mat"),
}
_COMBINED = re.compile(r"cars_annos.*\.mat")
_NAMES: dict[Part, str] = {"train": "cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}


def recognise_devkit(folder: Path) -> Layout | None:
    """Recognise ``cars_train/`` and ``cars_test/`` (also nested once more) with annotation files near them.

    Args:
        folder: A folder.

    Returns:
        The layout with the parts train and test, or None if this is something else.
    """
    images = {part: _image_folder(folder, f"cars_{part}") for part in _ANNOTATIONS}
    meta = _find(folder, _META)
    files = {part: _find(folder, pattern) for part, pattern in _ANNOTATIONS.items()}
    if not any(images.values()) and not meta:
        return None
    names = read_class_names(meta) if meta else CAR_NAMES

    def read(part: Part) -> Samples:
        annotations, pictures = files[part], images[part]
        if annotations is None:
            unlabelled = part == "test" and _find(folder, re.compile(r"cars_test_annos.*\.mat"))
            raise MisconfigurationException(
                f"There is no {_NAMES[part]} in {folder} or its devkit"
                + (f" ({unlabelled.name} has no labels)" if unlabelled else "")
                + f": the {part} part has no labels without it."
            )
        if pictures is None:
            raise MisconfigurationException(
                f"There is no folder {folder / f'cars_{part}'}, which {annotations} refers to."
            )
        return read_annotations(annotations, pictures, len(names))[0]

    return Layout(
        "devkit",
        folder,
        names,
        {"train": lambda: read("train"), "test": lambda: read("test")},
        image_folders=tuple(path for path in images.values() if path),
        annotations={part: path for part, path in files.items() if path},
        own_files=_own_files(folder),
    )


def recognise_combined(folder: Path) -> Layout | None:
    """Recognise the older ``car_ims/`` with one ``cars_annos.mat`` for both parts.

    Args:
        folder: A folder.

    Returns:
        The layout with the parts train and test, or None if this is something else.
    """
    annotations = _find(folder, _COMBINED)
    if annotations is None or not (folder / "car_ims").is_dir():
        return None
    names = read_class_names(annotations)

    def read(test: bool) -> Samples:
        samples, rows = read_annotations(annotations, folder, len(names))
        if "test" not in (rows.dtype.names or ()):
            raise MisconfigurationException(f"{annotations} lacks the field 'test', which divides it into two parts.")
        return samples.take(np.flatnonzero(rows["test"].astype(bool) == test))

    return Layout(
        "car_ims",
        folder,
        names,
        {"train": lambda: read(test=False), "test": lambda: read(test=True)},
        image_folders=(folder / "car_ims",),
        annotations={"all": annotations},
        own_files=_own_files(folder),
    )


def _image_folder(folder: Path, name: str) -> Path | None:
    nested = folder / name / name  # as Kaggle unpacks it
    return next((path for path in (nested, folder / name) if path.is_dir()), None)


def _own_files(folder: Path) -> tuple[Path, ...]:
    return tuple(path for place in _PLACES if (folder / place).is_dir() for path in (folder / place).glob("*.mat"))


def _find(folder: Path, pattern: re.Pattern[str]) -> Path | None:
    for place in _PLACES:
        if (folder / place).is_dir():
            found = sorted(path for path in (folder / place).glob("*.mat") if pattern.fullmatch(path.name))
            if found:
                return found[0]
    return None
