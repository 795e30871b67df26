"""The MATLAB files of Stanford Cars, read and written."""

import io
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from scipy.io import loadmat, savemat

from datamodules.layouts.class_name import class_name
from datamodules.samples import Samples

META = Path("devkit/cars_meta.mat")
ANNOTATIONS = {"train": Path("devkit/cars_train_annos.mat"), "test": Path("cars_test_annos_withlabels.mat")}
IMAGES = {"train": Path("cars_train"), "test": Path("cars_test")}

_HEADER, _COMPRESSED = 128, 15

BOX_FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def load(path: Path, key: str) -> npt.NDArray[Any]:
    """Read a variable of a MATLAB file.

    Args:
        path: The file.
        key: The variable.

    Returns:
        Its rows, shape (n,).

    Raises:
        MisconfigurationException: If the file is damaged or has no such variable.
    """
    try:
        data = path.read_bytes()
        _check_integrity(data)
        content = loadmat(io.BytesIO(data), squeeze_me=True)
    except Exception as error:  # scipy raises whatever the damaged bytes lead to
        raise MisconfigurationException(
            f"Can't read {path} as a MATLAB file: {' '.join(str(error).split()).rstrip('.')}."
        ) from error
    if key not in content:
        raise MisconfigurationException(
            f"{path} has no variable {key!r}: it is not an annotation file of Stanford Cars."
        )
    return np.atleast_1d(content[key])


def _check_integrity(data: bytes) -> None:
    """Verify the checksums of a MATLAB file of level 5, which scipy reads too late: damage can crash its reader.

    MATLAB compresses what it writes, and so does this project; what isn't compressed has no checksum.

    Args:
        data: The file (MAT-File Format, MathWorks, chapter 1).

    Raises:
        ValueError: If the file is damaged.
        zlib.error: If the file is damaged.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        return  # of another level
    position = _HEADER
    while position < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        content = data[position + 8 : position + 8 + size]
        if len(content) < size or (kind != _COMPRESSED and content[:8] != struct.pack(f"{order}II", 6, 8)):
            raise ValueError("it is damaged")
        if kind == _COMPRESSED:
            zlib.decompress(content)
        position += 8 + size


def read_class_names(path: Path) -> list[str]:
    """Read class names in devkit order.

    Args:
        path: ``cars_meta.mat``, or ``cars_annos.mat`` with everything in it.

    Returns:
        The names; a label is a position in this list.

    Raises:
        MisconfigurationException: If the file is damaged.
    """
    return [class_name(str(name)) for name in load(path, "class_names")]


def read_annotations(path: Path, images: Path, classes: int) -> tuple[Samples, npt.NDArray[Any]]:
    """Read an annotation file.

    The files count classes and pixels from 1 and include the last pixel of a box; here both count from 0 and the end
    is exclusive.

    Args:
        path: The file.
        images: Folder that its file names refer to.
        classes: Number of classes, to check the labels against.

    Returns:
        Files, labels and, if there are any, boxes, in the order of the file; and the rows as they are, shape (n,).

    Raises:
        MisconfigurationException: If the file is damaged, or labels are absent or out of range.
    """
    rows = load(path, "annotations")
    fields = rows.dtype.names or ()
    name_field = next((field for field in ("fname", "relative_im_path", "path") if field in fields), None)
    if name_field is None or "class" not in fields:
        missing = "fname" if name_field is None else "class"
        raise MisconfigurationException(f"{path} lacks the field {missing!r}: file names and labels are needed.")
    labels = _whole(rows, "class", path) - 1
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise MisconfigurationException(
            f"{path} has class numbers from {labels.min() + 1} to {labels.max() + 1}, but there are {classes} classes."
        )
    boxes = None
    if set(BOX_FIELDS) <= set(fields):
        # stored in the smallest unsigned type of each value: differences would wrap around
        x1, y1, x2, y2 = (_whole(rows, field, path) for field in BOX_FIELDS)
        boxes = np.stack([x1 - 1, y1 - 1, x2, y2], axis=1)
    return Samples(np.array([str(images / str(name)) for name in rows[name_field]]), labels, boxes), rows


def _whole(rows: npt.NDArray[Any], field: str, path: Path) -> npt.NDArray[np.int64]:
    """Read a field of whole numbers."""
    numbers = np.zeros(len(rows), dtype=np.int64)
    for row, value in enumerate(rows[field].tolist()):
        cell = np.asarray(value)
        number = cell.item() if cell.size == 1 else None
        if not isinstance(number, int | float) or not math.isfinite(number) or number != int(number):
            shown = "nothing" if cell.size == 0 else repr(number if cell.size == 1 else value)
            raise MisconfigurationException(
                f"{path} has {shown} for {field} in row {row + 1}: it has to be a whole number."
            )
        numbers[row] = int(number)
    return numbers


def write_class_names(root: Path, class_names: list[str]) -> None:
    """Write ``cars_meta.mat``.

    Args:
        root: Folder that holds ``devkit``.
        class_names: Names in the order of their indices.
    """
    savemat(root / META, {"class_names": np.array(class_names, dtype=object)}, do_compression=True)


def write_samples(root: Path, part: str, samples: Samples) -> None:
    """Write the annotation file of a part.

    Args:
        root: Folder that holds ``devkit``.
        part: ``train`` or ``test``.
        samples: Files (only their names are kept), labels and boxes; without boxes, the file has none.
    """
    assert samples.labels is not None
    fields = ("class", "fname") if samples.boxes is None else (*BOX_FIELDS, "class", "fname")
    rows = np.empty(len(samples), dtype=[(field, object) for field in fields])
    if samples.boxes is not None:
        for field, column in zip(BOX_FIELDS, (samples.boxes + np.array([1, 1, 0, 0])).T, strict=True):
            rows[field] = column.tolist()
    rows["class"] = (samples.labels + 1).tolist()
    rows["fname"] = [Path(str(file)).name for file in samples.files]
    savemat(root / ANNOTATIONS[part], {"annotations": rows}, do_compression=True)
