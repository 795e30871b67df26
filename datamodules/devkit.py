"""The annotation files of Stanford Cars, read and written."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from scipy.io import loadmat, savemat

from datamodules.samples import Samples

META = Path("devkit/cars_meta.mat")
ANNOTATIONS = {"train": Path("devkit/cars_train_annos.mat"), "test": Path("cars_test_annos_withlabels.mat")}
IMAGES = {"train": Path("cars_train"), "test": Path("cars_test")}

_BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_FIELDS = (*_BOX, "class", "fname")


def _load(path: Path, key: str) -> npt.NDArray[Any]:
    if not path.is_file():
        raise MisconfigurationException(
            f"There is no {path}: data.root has to hold devkit/cars_meta.mat, devkit/cars_train_annos.mat and "
            "cars_train/ to train; devkit/cars_meta.mat, cars_test_annos_withlabels.mat and cars_test/ to test."
        )
    try:
        content = loadmat(path, squeeze_me=True)
    except Exception as error:  # scipy raises whatever the damaged bytes lead to
        raise MisconfigurationException(f"Can't read {path} as a MATLAB file: {error}.") from error
    if key not in content:
        raise MisconfigurationException(
            f"{path} has no variable {key!r}: it is not an annotation file of Stanford Cars."
        )
    return np.atleast_1d(content[key])


def read_class_names(root: Path) -> list[str]:
    """Read the class names in devkit order.

    Args:
        root: Folder that holds ``devkit``.

    Returns:
        The names; a label is a position in this list.

    Raises:
        MisconfigurationException: If the file is missing or damaged.
    """
    return [str(name) for name in _load(root / META, "class_names")]


def read_samples(root: Path, part: str, classes: int) -> Samples:
    """Read the annotations of a part of the data set.

    The files count classes and pixels from 1 and include the last pixel of a box; here both count from 0 and the end
    is exclusive.

    Args:
        root: Folder that holds ``devkit``.
        part: ``train`` or ``test``.
        classes: Number of classes, to check the labels against.

    Returns:
        Files, labels and boxes in the order of the annotation file.

    Raises:
        MisconfigurationException: If files are missing or damaged, or labels are absent or out of range.
    """
    path = root / ANNOTATIONS[part]
    annotations = _load(path, "annotations")
    missing = [field for field in _FIELDS if field not in (annotations.dtype.names or ())]
    if missing:
        raise MisconfigurationException(f"{path} lacks the field {missing[0]!r}: labels and boxes are needed.")
    if not (root / IMAGES[part]).is_dir():
        raise MisconfigurationException(f"There is no folder {root / IMAGES[part]}, which {path} refers to.")
    labels = annotations["class"].astype(np.int64) - 1
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise MisconfigurationException(
            f"{path} has class numbers from {labels.min() + 1} to {labels.max() + 1}, but {root / META} names "
            f"{classes} classes."
        )
    # stored in the smallest unsigned type of each value: differences would wrap around
    x1, y1, x2, y2 = (annotations[field].astype(np.int64) for field in _BOX)
    files = np.array([str(root / IMAGES[part] / str(name)) for name in annotations["fname"]])
    return Samples(files, labels, np.stack([x1 - 1, y1 - 1, x2, y2], axis=1))


def write_class_names(root: Path, class_names: list[str]) -> None:
    """Write ``cars_meta.mat``.

    Args:
        root: Folder that holds ``devkit``.
        class_names: Names in the order of their indices.
    """
    savemat(root / META, {"class_names": np.array(class_names, dtype=object)})


def write_samples(root: Path, part: str, samples: Samples) -> None:
    """Write the annotation file of a part.

    Args:
        root: Folder that holds ``devkit``.
        part: ``train`` or ``test``.
        samples: Files (only their names are kept), labels and boxes.
    """
    rows = np.empty(len(samples), dtype=[(field, object) for field in _FIELDS])
    if samples.labels is None or samples.boxes is None:
        raise ValueError("annotations need labels and boxes")
    for field, column in zip(_BOX, (samples.boxes + np.array([1, 1, 0, 0])).T, strict=True):
        rows[field] = column.tolist()
    rows["class"] = (samples.labels + 1).tolist()
    rows["fname"] = [Path(str(file)).name for file in samples.files]
    savemat(root / ANNOTATIONS[part], {"annotations": rows})
