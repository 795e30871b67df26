"""Reading photographs."""

import os
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.reading.jpeg_reader import decode_jpeg
from datamodules.reading.needed_pixels import NeededPixels
from datamodules.reading.orientation import turn_upright
from datamodules.reading.other_formats import decode_other
from datamodules.reading.undecodable import UndecodableError

Image: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]

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


class StoredImage(NamedTuple):
    """A picture as it is stored.

    Attributes:
        image: Pixels before they are turned, uint8 of shape (height, width, 3), RGB.
        data: Content of the file, set right where its headers are odd; tells how the picture has to be turned.
        odd_header: Whether it was set right.
    """

    image: Image
    data: bytes
    odd_header: bool = False


def read_image(path: str | Path, box: Box | None = None, needed: NeededPixels | None = None) -> Image:
    """Read a photograph as RGB, upright.

    Args:
        path: The file.
        box: Part to cut out (left, top, right, bottom) in pixels of the picture as it is stored, before it is turned
            as its EXIF orientation asks; what lies outside of the picture is left out.
        needed: What the whole picture is for, if a JPEG that is far larger may be decoded smaller.

    Returns:
        The picture, uint8 of shape (height, width, 3), RGB. A transparent picture lies on white, one of 16 bits is
        scaled, of an animated one the first frame counts.

    Raises:
        UnreadableImageError: If the file is missing, empty, truncated, damaged, too large or not a picture, or the box
            lies outside of the picture.
    """
    return decode_image(read_bytes(path), path, box, needed)


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


def decode_image(data: bytes, path: str | Path, box: Box | None = None, needed: NeededPixels | None = None) -> Image:
    """Decode the content of an image file; arguments, result and errors as in ``read_image``.

    Args:
        data: The content.
        path: The file's name, for messages.
        box: Part to cut out.
        needed: What the whole picture is for.

    Returns:
        The picture.
    """
    stored = decode_stored(data, path, None if box else needed)
    image = stored.image
    if box is not None:
        height, width = image.shape[:2]
        left, top, right, bottom = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
        if left >= right or top >= bottom:
            outside = f"lies outside of the {width}x{height} image"
            raise UnreadableImageError(f"The box {box} of {path} {outside}.", f"the box {box} {outside}")
        image = image[top:bottom, left:right]
    return turn_upright(image, stored.data)


def decode_stored(data: bytes, path: str | Path, needed: NeededPixels | None = None) -> StoredImage:
    """Decode the content of an image file, and leave it as it is stored.

    Args:
        data: The content.
        path: The file's name, for messages.
        needed: What the picture is for, if it may be decoded smaller.

    Returns:
        The picture before it is turned.

    Raises:
        UnreadableImageError: If it can't be decoded.
    """
    try:
        if not data:
            raise UndecodableError("the file is empty")
        if data[:2] != b"\xff\xd8":
            return StoredImage(decode_other(data, MAX_PIXELS), data)
        image, tidied = decode_jpeg(data, MAX_PIXELS, needed)
        return StoredImage(image, tidied or data, odd_header=tidied is not None)
    except UndecodableError as error:
        reason = str(error).rstrip(".")
        raise UnreadableImageError(f"Can't decode the image {path}: {reason}.", reason) from error
