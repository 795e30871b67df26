"""Turning pictures as their EXIF data ask."""

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image

TAG = 0x0112  # of the EXIF orientation


def exif_orientation(data: bytes) -> int:
    """Read how a picture has to be turned to be seen upright.

    Args:
        data: Content of an image file.

    Returns:
        The EXIF orientation, 1 (as it is stored) to 8; 1 where there is none, or none that makes sense.
    """
    if data[:2] == b"\xff\xd8" and b"Exif\0" not in data[:65536]:  # most JPEGs: no need to parse anything
        return 1
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as picture:
            return orientation_of(picture)
    except Exception:  # Pillow raises whatever the damaged bytes lead to, and the pixels are read without it
        return 1


def orientation_of(picture: Image.Image) -> int:
    """Read how a picture of Pillow has to be turned.

    Args:
        picture: The picture; Pillow turns some formats when it decodes them, and then says so.

    Returns:
        As ``exif_orientation``.
    """
    try:
        orientation = picture.getexif().get(TAG, 1)
    except Exception:  # as above
        return 1
    return orientation if orientation in range(1, 9) else 1


def turn_upright(image: npt.NDArray[np.uint8], data: bytes) -> npt.NDArray[np.uint8]:
    """Turn and mirror a picture, or a part of it, as its EXIF orientation asks.

    Args:
        image: Pixels as they are stored, uint8 of shape (height, width, 3).
        data: Content of the file they come from.

    Returns:
        The picture upright, uint8 of shape (height, width, 3), or (width, height, 3) after a quarter turn.
    """
    return turned(image, exif_orientation(data))


def turned(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn and mirror a picture.

    Args:
        image: Pixels as they are stored, uint8 of shape (height, width, 3).
        orientation: Its EXIF orientation, 1 to 8.

    Returns:
        As ``turn_upright``.
    """
    if orientation == 1:
        return image
    if orientation in (5, 7):
        image = image.swapaxes(0, 1)
    quarters = {3: 2, 6: 3, 7: 2, 8: 1}.get(orientation, 0)
    if orientation in (2, 4):
        image = np.flip(image, axis=1 if orientation == 2 else 0)
    return np.ascontiguousarray(np.rot90(image, quarters))
