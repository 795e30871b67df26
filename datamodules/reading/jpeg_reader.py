"""Decoding JPEGs strictly: whole pictures with odd headers are read, pictures that lack data never."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image as Pillow

from datamodules.reading.jpeg_parts import JpegParts, Scan, jpeg_parts
from datamodules.reading.needed_pixels import NeededPixels
from datamodules.reading.undecodable import UndecodableError, refuse_huge

Image = npt.NDArray[np.uint8]

_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
_MAX_STRAY = 64  # a few bytes that the picture doesn't need, which some cameras leave; more are looked at
_LONGEST_PERIOD = 16
_AHEAD = 8  # bytes that libjpeg may have taken from the file without need
_RESTART = re.compile(rb"(\xff[\xd0-\xd7])")


class DecodedJpeg(NamedTuple):
    """A JPEG's pixels.

    Attributes:
        image: Pixels as they are stored, uint8 of shape (height, width, 3), RGB.
        tidied: The file with its headers set right, where they had to be.
    """

    image: Image
    tidied: bytes | None = None


def decode_jpeg(data: bytes, max_pixels: int, needed: NeededPixels | None = None) -> DecodedJpeg:
    """Decode a JPEG.

    OpenCV and Pillow return JPEGs whose middle is missing half grey, and report nothing; libjpeg's strict mode
    refuses what is whole but has odd headers, and reports the first of several faults alone. So a file that is
    refused is rebuilt without the oddities, and has to pass the strict mode then.

    Args:
        data: The file.
        max_pixels: How many pixels it may have.
        needed: What the picture is for, if it may be decoded at a half, a quarter or an eighth of its size: libjpeg
            computes fewer pixels of each block then.

    Returns:
        The picture.

    Raises:
        UndecodableError: If picture data is missing or damaged, or there are too many pixels; says so.
    """
    try:
        return DecodedJpeg(_decode(data, max_pixels, needed))
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


def _decode(data: bytes, max_pixels: int, needed: NeededPixels | None = None) -> Image:
    height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
    refuse_huge(width, height, max_pixels)
    if colors not in ("CMYK", "YCCK"):
        reduction = needed.reduction(height, width) if needed else 1
        smallest = {"min_height": -(-height // reduction), "min_width": -(-width // reduction)}
        image: Image = simplejpeg.decode_jpeg(data, colorspace="RGB", **(smallest if reduction > 1 else {}))
        return image
    inverted = simplejpeg.decode_jpeg(data, colorspace="CMYK")
    return np.asarray(Pillow.frombytes("CMYK", (width, height), (255 - inverted).tobytes()).convert("RGB"))


def _without_strays(parts: JpegParts, max_pixels: int) -> Image:
    """Decode with one pass more each time, so that it is known which of them has bytes left over; cut those off."""
    for number in range(len(parts.scans)):
        image = _decode_pass(parts, number, max_pixels)
    return image


def _decode_pass(parts: JpegParts, number: int, max_pixels: int) -> Image:
    scan = parts.scans[number]
    try:
        return _decode(parts.file(number + 1), max_pixels)
    except ValueError as error:
        found = _STRAY.search(str(error))
        if found is None:
            raise
        reason = error
    within = "d0" <= found[2] <= "d7"
    for data in _between_restarts(scan.data) if within else _without_rest(scan.data, int(found[1])):
        parts.scans[number] = Scan(scan.tables, scan.header, data)
        try:
            return _decode(parts.file(number + 1), max_pixels)
        except ValueError:  # it was needed
            continue
    parts.scans[number] = scan
    raise reason


def _without_rest(coded: bytes, stray: int) -> Iterator[bytes]:
    """Cut off what a pass has left over, unless it is picture data that damage before it has left over.

    Coded data looks random, so a hole in it leaves random bytes over at its end; regular ones were put there by
    whoever wrote the file. As all of them are cut off, a hole that reaches the end isn't taken for them.
    """
    runs = [(run, slack) for run, slack in ((_periodic_run(coded), 2), (_ascii_run(coded), 8)) if run >= stray]
    for run, slack in runs:
        if run <= stray + _AHEAD + slack:
            yield from (coded[: len(coded) - run + needed] for needed in range(slack + 1))
    if stray <= _MAX_STRAY and not any(run > stray + _AHEAD + slack for run, slack in runs):
        yield from (coded[: len(coded) - stray - ahead] for ahead in range(_AHEAD))


def _between_restarts(coded: bytes) -> Iterator[bytes]:
    """Cut off bytes that are repeated at the end of an interval, as of a whole pass."""
    pieces = _RESTART.split(coded)
    runs = [len(piece) - len(piece.rstrip(piece[-1:])) for piece in pieces]
    for needed in (0, 1):
        cuts = [max(0, run - needed) if run > 2 else 0 for run in runs]
        yield b"".join(piece[: len(piece) - cut] for piece, cut in zip(pieces, cuts, strict=True))


def _periodic_run(coded: bytes) -> int:
    """Count the bytes at the end that repeat a pattern, or rise or fall by one."""
    values = np.frombuffer(coded, np.uint8)[::-1]
    longest = 0
    for series, extra in ((values, 0), (np.diff(values), 1)):
        for period in range(1, _LONGEST_PERIOD + 1):
            same = series[period:] == series[:-period]
            run = len(same) if same.all() else int(same.argmin())
            longest = max(longest, run + period + extra if run > period else 0)
    return longest


def _ascii_run(coded: bytes) -> int:
    high = np.flatnonzero(np.frombuffer(coded, np.uint8) > 127)
    return len(coded) - (int(high[-1]) + 1 if len(high) else 0)
