"""Decoding photographs."""

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

Image: TypeAlias = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def read_image(path: str | Path, upright: bool = True) -> Image:
    """Read a photograph as RGB.

    The bytes are read first and decoded then, because ``cv2.imread`` fills the missing part of a truncated JPEG with
    grey and reports nothing, while ``cv2.imdecode`` refuses it.

    Args:
        path: The file.
        upright: Turn the picture as its EXIF orientation asks. Stanford Cars needs ``False``: its boxes refer to the
            pixels as they are stored.

    Returns:
        The picture, uint8 of shape (height, width, 3), RGB.

    Raises:
        MisconfigurationException: If the file is missing, empty, truncated, too large or no picture.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise MisconfigurationException(f"Can't read the image {path}: {error.strerror}.") from error
    flags = cv2.IMREAD_COLOR_RGB if upright else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        raise MisconfigurationException(f"Can't decode the image {path}: {error.err}.") from error
    if image is None:
        raise MisconfigurationException(
            f"Can't decode the image {path} ({data.size} bytes): it is empty, truncated or no image; replace or remove "
            "it."
        )
    return image.astype(np.uint8, copy=False)


def find_images(folder: str | Path) -> list[Path]:
    """List the photographs below a folder, by suffix, in sorted order.

    Args:
        folder: The folder; its sub-folders are searched as well, hidden files are not.

    Returns:
        The paths, each starting with ``folder``.
    """
    folder = Path(folder)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
