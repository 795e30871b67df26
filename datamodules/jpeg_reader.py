"""Decoding JPEGs strictly: whole pictures with odd headers are read, pictures that lack data never."""

import re
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image as Pillow

from datamodules.jpeg_parts import JpegParts, jpeg_parts
from datamodules.undecodable import UndecodableError, refuse_huge

Image = npt.NDArray[np.uint8]

_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
_MAX_STRAY = 64  # a few bytes that the picture doesn't need, which some cameras leave; more are looked at
_WINDOW = 64
_AHEAD = 8  # bytes that libjpeg may have taken from the file without need
_ATTEMPTS = 8
_RESTART = re.compile(rb"(\xff[\xd0-\xd7])")


class DecodedJpeg(NamedTuple):
    """A JPEG's pixels.

    Attributes:
        image: Pixels as they are stored, uint8 of shape (height, width, 3), RGB.
        tidied: The file with its headers set right, where they had to be.
    """

    image: Image
    tidied: bytes | None = None


def decode_jpeg(data: bytes, max_pixels: int) -> DecodedJpeg:
    """Decode a JPEG.

    OpenCV and Pillow return JPEGs whose middle is missing half grey, and report nothing; libjpeg's strict mode
    refuses what is whole but has odd headers, and reports the first of several faults alone. So a file that is
    refused is put together anew without the oddities, and has to pass the strict mode then.

    Args:
        data: The file.
        max_pixels: How many pixels it may have.

    Returns:
        The picture.

    Raises:
        UndecodableError: If picture data is missing or damaged, or there are too many pixels; says so.
    """
    try:
        return DecodedJpeg(_decode(data, max_pixels))
    except UndecodableError:
        raise
    except ValueError as error:
        reason = str(error)
    parts = jpeg_parts(data)
    try:
        if parts.scans:
            return DecodedJpeg(_without_strays(parts, max_pixels), parts.file())
    except UndecodableError:
        raise
    except ValueError as error:
        reason = str(error)
    state = "damaged" if parts.closed else "cut off"
    raise UndecodableError(f"{reason.rstrip('.')}: the JPEG picture is {state}")


def _decode(data: bytes, max_pixels: int) -> Image:
    height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
    refuse_huge(width, height, max_pixels)
    if colors not in ("CMYK", "YCCK"):
        image: Image = simplejpeg.decode_jpeg(data, colorspace="RGB")
        return image
    inverted = simplejpeg.decode_jpeg(data, colorspace="CMYK")
    return np.asarray(Pillow.frombytes("CMYK", (width, height), (255 - inverted).tobytes()).convert("RGB"))


def _without_strays(parts: JpegParts, max_pixels: int) -> Image:
    """Decode with more passes each time, so that it is known which of them has bytes left over; cut those off."""
    strays = 0
    for count in range(1, len(parts.scans) + 1):
        while True:
            try:
                image = _decode(parts.file(count), max_pixels)
                break
            except ValueError as error:
                found = _STRAY.search(str(error))
                strays += 1
                if found is None or strays > _ATTEMPTS:
                    raise
                _cut(parts, count - 1, int(found[1]), error, restart=found[2][0] == "d" and found[2] < "d8")
    return image


def _cut(parts: JpegParts, number: int, stray: int, error: ValueError, restart: bool) -> None:
    """Cut off what a pass has left over, unless it is picture data that damage before it has left over."""
    scan = parts.scans[number]
    if restart:
        pieces = _RESTART.split(scan.data)
        kept = b"".join(piece[: len(piece) - _run(piece)] if _run(piece) > 2 else piece for piece in pieces)
    else:
        if stray > _MAX_STRAY and not _is_filler(scan.data, stray):
            raise error
        kept = scan.data[: len(scan.data) - stray]
    if len(kept) in (0, len(scan.data)):
        raise error
    parts.scans[number] = scan._replace(data=kept)


def _is_filler(coded: bytes, stray: int) -> bool:
    """Say whether the bytes left over at the end are regular, and those that were decoded before them are not.

    Coded data looks random. A hole of zeros in it leaves coded data over at its end; a hole up to the end was decoded.
    """
    run = _run(coded)
    if run >= stray:
        return run <= stray + _AHEAD
    left, before = coded[-stray:], coded[-stray - _AHEAD - _WINDOW : -stray - _AHEAD]
    windows = [left[end - _WINDOW : end] for end in range(len(left), _WINDOW - 1, -_WINDOW)]
    return all(map(_is_regular, windows)) and not _is_regular(before)


def _is_regular(piece: bytes) -> bool:
    steps = np.diff(np.frombuffer(piece, np.uint8)).tobytes()
    return piece.isascii() or min(len(zlib.compress(piece)), len(zlib.compress(steps))) < 0.7 * len(piece)


def _run(piece: bytes) -> int:
    """Count how often the last byte is repeated at the end."""
    return len(piece) - len(piece.rstrip(piece[-1:])) if piece else 0
