"""Decoding what isn't JPEG."""

import io
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from datamodules.reading.eight_bits import deep_grey_on_white, is_transparent, on_white, scaled_to_eight_bits
from datamodules.reading.file_kinds import HEAD, recognise, refusal
from datamodules.reading.tiff_reader import decode_tiff
from datamodules.reading.undecodable import UndecodableError, refuse_huge

Image = npt.NDArray[np.uint8]


def decode_other(data: bytes, max_pixels: int) -> Image:
    """Decode a picture of any format but JPEG, known by its content.

    Args:
        data: The file.
        max_pixels: How many pixels it may have.

    Returns:
        The picture as it is stored (HEIC: as its own properties turn it), uint8 of shape (height, width, 3), RGB;
        transparent ones on white, deep ones scaled.

    Raises:
        UndecodableError: If it is damaged, too large, no picture, or one that can't be decoded here; says so.
    """
    kind = recognise(data[:HEAD])
    reason = refusal(kind) if kind else None
    if reason:
        raise UndecodableError(reason)
    damaged = (
        f"it is {kind.name} that is cut off or damaged"
        if kind
        else "it is of no known format, or damaged from its beginning"
    )
    try:
        if kind and kind.format == "TIFF":
            return decode_tiff(data, max_pixels)
        if kind and kind.format == "HEIC":
            return _decode_heic(data, max_pixels)
        return _decode(data, max_pixels)
    except UndecodableError:
        raise
    except cv2.error as error:
        raise UndecodableError(error.err) from error
    except Exception as error:  # Pillow and its plugins raise whatever damaged bytes lead to
        raise UndecodableError(f"{damaged} ({len(data)} bytes)") from error


def _decode(data: bytes, max_pixels: int) -> Image:
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise EOFError
    if data.startswith(b"\x89PNG") and data[24] == 16:
        deep = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        if deep is not None and deep.dtype == np.uint16:
            return _from_sixteen_bits(deep, data)
    try:
        with Pillow.open(io.BytesIO(data)) as picture:
            if is_transparent(picture) and picture.width * picture.height <= max_pixels:
                return on_white(picture)
    except UnidentifiedImageError:  # OpenCV knows more formats
        pass
    return image.astype(np.uint8, copy=False)


def _from_sixteen_bits(values: npt.NDArray[Any], data: bytes) -> Image:
    if values.ndim == 2:  # of which OpenCV leaves out which grey is transparent
        with Pillow.open(io.BytesIO(data)) as picture:
            return deep_grey_on_white(values, picture.info.get("transparency"))[..., None].repeat(3, axis=2)
    colours = scaled_to_eight_bits(values[..., 2::-1])
    if values.shape[2] == 3:
        return colours
    alpha = np.rint(values[..., -1:] / 257).astype(np.uint8)
    return on_white(Pillow.fromarray(np.concatenate([colours, alpha], axis=2)))


def _decode_heic(data: bytes, max_pixels: int) -> Image:
    import pillow_heif  # an extra, which only those need who have such files

    picture = pillow_heif.open_heif(io.BytesIO(data))
    width, height = picture.size
    refuse_huge(width, height, max_pixels)
    decoded = picture.to_pillow()
    return on_white(decoded) if is_transparent(decoded) else np.asarray(decoded.convert("RGB"))
