"""Decoding TIFFs, in whatever colours and depths scanners, cameras and microscopes write them."""

import io
import struct

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageCms, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from datamodules.reading.eight_bits import is_transparent, on_white, scaled_to_eight_bits
from datamodules.reading.undecodable import UndecodableError, refuse_huge

Image = npt.NDArray[np.uint8]

_BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANES, _SUB_IMAGES = 258, 262, 274, 277, 284, 330
_EXTRA, _FORMAT, _DNG = 338, 339, 50706
_WHITE_IS_ZERO, _RGB = 0, 2
_UNSIGNED, _PREMULTIPLIED = 1, 1
_UNKNOWN = "colours or a depth that can't be read here: save it with 8 bits of RGB"


def decode_tiff(data: bytes, max_pixels: int) -> Image:
    """Decode the first page of a TIFF.

    Args:
        data: The file.
        max_pixels: How many pixels it may have.

    Returns:
        The picture as it is stored, not turned, uint8 of shape (height, width, 3), RGB; transparent ones on white.

    Raises:
        UndecodableError: If it is too large, or of a kind whose colours aren't known here.
        Exception: Whatever else Pillow raises for damaged bytes.
    """
    stored = as_stored(data)  # OpenCV and Pillow would turn it while they read it
    try:
        opened = Pillow.open(io.BytesIO(stored), formats=["TIFF"])
    except UnidentifiedImageError as error:
        raise UndecodableError(f"it is a TIFF that is damaged, or of {_UNKNOWN}") from error
    with opened as picture:
        assert isinstance(picture, TiffImageFile)
        width, height = picture.size
        refuse_huge(width, height, max_pixels)
        tags = picture.tag_v2
        if _DNG in tags or (tags.get(254, 0) & 1 and _SUB_IMAGES in tags):
            raise UndecodableError("it is a camera raw file: convert it to JPEG")
        if max(tags.get(_BITS, (1,))) > 8 or set(tags.get(_FORMAT, (_UNSIGNED,))) != {_UNSIGNED}:
            return _deep(picture, stored)
        if picture.mode == "LAB":
            profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
            transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")
            return np.asarray(ImageCms.applyTransform(picture, transform))
        return on_white(picture) if is_transparent(picture) else np.asarray(picture.convert("RGB"))


def _deep(picture: TiffImageFile, stored: bytes) -> Image:
    """Decode more than 8 bits: colours with OpenCV, as Pillow takes their upper bytes alone."""
    tags = picture.tag_v2
    photometric, samples = tags.get(_PHOTOMETRIC), tags.get(_SAMPLES, 1)
    if picture.mode == "CMYK":
        return np.asarray(picture.convert("RGB"))
    if samples == 1 and photometric in (_WHITE_IS_ZERO, 1) and picture.mode[0] in "IF":
        values = np.asarray(picture)
        if picture.mode == "I" and tags.get(_FORMAT, (_UNSIGNED,)) == (_UNSIGNED,):  # Pillow takes it as signed
            values = values.view(np.uint32)
        grey = scaled_to_eight_bits(values)
        return np.repeat((255 - grey if photometric == _WHITE_IS_ZERO else grey)[..., None], 3, axis=2)
    whole = tags.get(_PLANES, 1) == 1 and set(tags.get(_FORMAT, (_UNSIGNED,))) == {_UNSIGNED}
    if photometric == _RGB and samples in (3, 4) and set(tags.get(_BITS, ())) == {16} and whole:
        colours = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
        if colours is not None and colours.dtype == np.uint16 and colours.shape[2:] == (samples,):
            opaque = scaled_to_eight_bits(colours[..., 2::-1])
            if samples == 3 or not is_transparent(picture):
                return opaque
            alpha = np.rint(colours[..., 3:] / 257).astype(np.uint8)
            if tags.get(_EXTRA) == (_PREMULTIPLIED,):
                return np.minimum(opaque, alpha) + (255 - alpha)
            return on_white(Pillow.fromarray(np.concatenate([opaque, alpha], axis=2)))
    raise UndecodableError(f"it is a TIFF of {_UNKNOWN}")


def as_stored(data: bytes) -> bytes:
    """Replace the orientation tag of a TIFF's first page by that of a picture that needn't be turned.

    Args:
        data: The file.

    Returns:
        The file, changed where it has the tag.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    start, count, size, value = ("Q", "Q", 20, 12) if big else ("I", "H", 12, 8)
    try:
        place = struct.unpack_from(order + start, data, 8 if big else 4)[0]
        entries = struct.unpack_from(order + count, data, place)[0]
        place += struct.calcsize(order + count)
        for entry in range(place, place + size * min(entries, 4096), size):
            if struct.unpack_from(f"{order}H", data, entry)[0] == _ORIENTATION:
                one = struct.pack(f"{order}H", 1)
                return data[: entry + value] + one + data[entry + value + len(one) :]
    except struct.error:  # a damaged file, which the decoder will refuse
        pass
    return data
