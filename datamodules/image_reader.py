"""Finding and decoding photographs."""

import os
import re
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.orientation import turn_upright

Image: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]

# A few stray bytes between the parts of a file, which some cameras leave, don't touch the picture; many do.
_STRAY = re.compile(r"(\d+) extraneous bytes")
_MAX_STRAY = 64
_WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
MAX_PIXELS = int(os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000"))


class UnreadableImageError(MisconfigurationException):
    """An image file that can't be used.

    Args:
        message: Names the file and says why.
        reason: Says why, without the name, for lists in which the name stands beside it.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or message


def read_image(path: str | Path, box: Box | None = None) -> Image:
    """Read a photograph as RGB, upright.

    Args:
        path: The file.
        box: Part to cut out (left, top, right, bottom) in pixels of the picture as it is stored, before it is turned
            as its EXIF orientation asks; what lies outside of the picture is left out.

    Returns:
        The picture, uint8 of shape (height, width, 3), RGB. A transparent picture loses its transparency, an animated
        one all frames but the first.

    Raises:
        UnreadableImageError: If the file is missing, empty, truncated, damaged, too large or no picture, or the box
            lies outside of the picture.
    """
    return decode_image(read_bytes(path), path, box)


def read_bytes(path: str | Path) -> bytes:
    """Read a file.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        UnreadableImageError: If it can't be read.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a Path for each of a million files takes its time
            return file.read()
    except (OSError, ValueError) as error:  # a name that holds a null byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnreadableImageError(f"Can't read the image {path}: {reason}.", reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """Say why a file can't be read, without its name.

    Args:
        error: What the operating system or a library says.

    Returns:
        A few words that begin with a small letter.
    """
    words = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    return words[:1].lower() + words[1:]


def decode_image(data: bytes, path: str | Path, box: Box | None = None) -> Image:
    """Decode the content of an image file; arguments, result and errors as in ``read_image``.

    Args:
        data: The content.
        path: The file's name, for messages.
        box: Part to cut out.

    Returns:
        The picture.
    """
    if not data:
        raise _undecodable(path, "the file is empty")
    image = _decode_jpeg(data, path) if data[:3] == b"\xff\xd8\xff" else _decode_other(data, path)
    if box is not None:
        height, width = image.shape[:2]
        left, top, right, bottom = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
        if left >= right or top >= bottom:
            outside = f"lies outside of the {width}x{height} image"
            raise UnreadableImageError(f"The box {box} of {path} {outside}.", f"the box {box} {outside}")
        image = image[top:bottom, left:right]
    return turn_upright(image, data)


def _decode_jpeg(data: bytes, path: str | Path) -> Image:
    """Decode strictly: OpenCV and Pillow return JPEGs whose middle is missing half grey, and report nothing."""
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
        if height * width > MAX_PIXELS:
            raise _undecodable(path, f"its {width}x{height} pixels are more than the {MAX_PIXELS} allowed")
        if colors not in ("CMYK", "YCCK"):
            image: Image = simplejpeg.decode_jpeg(data, colorspace="RGB")
            return image
    except ValueError as error:
        stray = _STRAY.search(str(error))
        if not stray or int(stray[1]) > _MAX_STRAY:
            raise _undecodable(path, str(error).rstrip(".")) from error
    return _decode_other(data, path)


def _decode_other(data: bytes, path: str | Path) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise _undecodable(path, error.err) from error
    if image is None:
        if _WEB_PAGE.match(data):
            raise _undecodable(path, "it is a web page, no image")
        raise _undecodable(path, f"it is truncated or no image ({len(data)} bytes)")
    return image.astype(np.uint8, copy=False)


def _undecodable(path: str | Path, reason: str) -> UnreadableImageError:
    return UnreadableImageError(f"Can't decode the image {path}: {reason}.", reason)
