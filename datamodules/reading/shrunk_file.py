"""Files of photographs made smaller."""

import io
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from datamodules.reading.image_reader import decode_stored
from datamodules.reading.orientation import TAG, exif_orientation

_QUALITY = 95


class ShrunkFile(NamedTuple):
    """A file, and how much smaller its picture is.

    Attributes:
        data: Its content.
        across: Width of the picture as a share of the original's.
        down: Its height likewise.
    """

    data: bytes
    across: float = 1.0
    down: float = 1.0


def shrink(data: bytes, path: str, max_side: int | None) -> ShrunkFile:
    """Make a photograph smaller by averaging, and save it as JPEG of quality 95.

    It is turned as before: the pixels lie as they did, and the EXIF orientation is kept.

    Args:
        data: Content of its file.
        path: Its name, for messages.
        max_side: Pixels of the longer side; None leaves all files as they are.

    Returns:
        The new file; the same content where the picture isn't larger.

    Raises:
        UnreadableImageError: If it can't be decoded.
    """
    stored = decode_stored(data, path)
    height, width = stored.image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return ShrunkFile(data)
    scale = max_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smaller = Pillow.fromarray(cv2.resize(stored.image, size, interpolation=cv2.INTER_AREA))
    exif = Pillow.Exif()
    if (orientation := exif_orientation(stored.data)) != 1:
        exif[TAG] = orientation
    file = io.BytesIO()
    smaller.save(file, "JPEG", quality=_QUALITY, exif=exif)
    return ShrunkFile(file.getvalue(), size[0] / width, size[1] / height)


def shrink_box(box: npt.NDArray[np.int64], across: float, down: float) -> None:
    """Shrink a box with its picture, to the whole pixels that it touches.

    Args:
        box: Left, top, right and bottom in pixels, int64 of shape (4,); changed in place.
        across: Width of the picture as a share of the original's.
        down: Its height likewise.
    """
    scale = np.array([across, down])
    box[:2], box[2:] = np.floor(box[:2] * scale), np.ceil(box[2:] * scale)
