"""JPEGs that libjpeg complains of: whole pictures are read, pixel for pixel; those that lack data never."""

import io
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from datamodules.reading.image_reader import UnreadableImageError, decode_image, decode_stored
from datamodules.reading.jpeg_parts import JpegParts, jpeg_parts

VARIANTS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
}
FILLERS = {
    "zeros": bytes(258),
    "blanks": b" " * 1000,
    "text": b"Written by a camera of 2009. " * 9,
    "pattern": b"\xaa\x55" * 100,
    "few": bytes(range(128, 168)),
}


@cache
def clean(variant: str) -> bytes:
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 100 * 150 * 3).reshape(100, 150, 3)
    buffer = io.BytesIO()
    picture = Image.fromarray((ramp + random.integers(0, 50, ramp.shape)).astype(np.uint8))
    picture.save(buffer, "JPEG", quality=85, **VARIANTS[variant])
    return buffer.getvalue()


def segment(code: int, content: bytes) -> bytes:
    return bytes([0xFF, code]) + (len(content) + 2).to_bytes(2, "big") + content


def before(marker: bytes, what: bytes) -> Callable[[bytes], bytes]:
    def insert(data: bytes) -> bytes:
        place = data.rindex(marker)
        return data[:place] + what + data[place:]

    return insert


def after_start(what: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:2] + what + data[2:]


def scan_parameters(data: bytes) -> bytes:
    place = data.rindex(b"\xff\xda")
    end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return data[: end - 3] + b"\5\0\x77" + data[end:]


ODDITIES: dict[str, Callable[[bytes], bytes]] = {
    **{f"{name} after the start": after_start(segment(0xE5, b"x") + filler) for name, filler in FILLERS.items()},
    **{f"{name} directly after the start": after_start(filler) for name, filler in FILLERS.items()},
    **{f"{name} before the last scan": before(b"\xff\xda", filler) for name, filler in FILLERS.items()},
    **{f"{name} before the tables": before(b"\xff\xdb", filler) for name, filler in FILLERS.items()},
    **{f"{name} before the end": before(b"\xff\xd9", filler) for name, filler in FILLERS.items()},
    "JFIF 3": lambda data: data.replace(b"JFIF\0\1", b"JFIF\0\3"),
    "an unknown transform of Adobe": after_start(segment(0xEE, b"Adobe\0\x64\0\0\0\0\7")),
    "an Adobe segment cut short": after_start(segment(0xEE, b"Adobe\0")),
    "EXIF that makes no sense": after_start(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(60))),
    "a colour profile in parts that don't fit": after_start(segment(0xE2, b"ICC_PROFILE\0\5\2data")),
    "a segment without a length": after_start(b"\xff\xe3\0\0"),
    "markers that don't exist": after_start(b"\xff\x51\xff\xf3\xff\1"),
    "two starts": after_start(b"\xff\xd8"),
    "more after the end": lambda data: data + b"SEFT" + bytes(300) + data,
    "a preview that its segment doesn't cover": after_start(
        segment(0xE1, b"Exif\0\0") + segment(0xE0, b"x") + b"\xff\xd8" + segment(0xDB, bytes(65)) + b"\xff\xd9junk"
    ),
}


@pytest.mark.parametrize("oddity", ODDITIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_whole_pictures_are_read_pixel_for_pixel(variant: str, oddity: str) -> None:
    data = ODDITIES[oddity](clean(variant))
    np.testing.assert_array_equal(decode_image(data, "odd.jpg"), np.asarray(Image.open(io.BytesIO(clean(variant)))))


@cache
def torn_in(variant: str) -> list[bytes]:
    """Pictures that lack data, as libjpeg notices without an odd header; it doesn't notice each hole."""
    return [torn for torn in holes_in(variant) if not is_strictly_right(torn)]


def is_strictly_right(data: bytes) -> bool:
    try:
        simplejpeg.decode_jpeg(data)
    except ValueError as error:
        stray = re.search(r"(\d+) extraneous bytes", str(error))
        return stray is not None and int(stray[1]) <= 64
    return True


def holes_in(variant: str) -> Iterator[bytes]:
    data = clean(variant)
    start = data.rindex(b"\xff\xda") + 14
    for share in (0.05, 0.4, 0.7):
        place = start + int(share * (len(data) - 2 - start))
        end = min(place + 300, len(data) - 2)
        yield data[:place] + b"\xff\xd9"
        yield data[:place] + bytes(len(data) - 2 - place) + b"\xff\xd9"
        yield data[:place] + data[end:]
        yield data[:place] + bytes(end - place) + data[end:]


@pytest.mark.parametrize("oddity", ODDITIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_odd_header_hides_no_missing_data(variant: str, oddity: str) -> None:
    odd = [ODDITIES[oddity](torn) for torn in torn_in(variant)]
    if oddity.endswith("before the end"):  # what is inserted may happen to fill a hole
        odd = [torn for torn in odd if not is_strictly_right(torn)]
    assert len(odd) >= 6
    for torn in odd:
        with pytest.raises(UnreadableImageError, match=r"torn\.jpg"):
            decode_image(torn, "torn.jpg")


@pytest.mark.parametrize("variant", ["baseline", "optimised", "restarts"])
def test_the_parameters_of_a_sequential_scan_have_one_value(variant: str) -> None:
    odd = scan_parameters(clean(variant))
    np.testing.assert_array_equal(decode_image(odd, "odd.jpg"), np.asarray(Image.open(io.BytesIO(clean(variant)))))
    with pytest.raises(UnreadableImageError, match="Premature end of JPEG file: the JPEG picture is cut off"):
        decode_image(odd[: len(odd) * 3 // 4], "odd.jpg")


def test_passes_of_a_progressive_picture_may_be_repeated_or_late_but_not_missing() -> None:
    reference = np.asarray(Image.open(io.BytesIO(clean("progressive"))))
    parts = jpeg_parts(clean("progressive"))
    first, second, *others = parts.scans
    late = [second._replace(tables=first.tables + second.tables), first._replace(tables=b""), *others]
    for scans in (late, [first, *parts.scans], [*parts.scans, others[-1]]):
        odd = JpegParts(parts.head, parts.frames, scans, True).file()
        assert decode_stored(odd, "a.jpg").odd_header
        assert np.array_equal(decode_image(odd, "a.jpg"), reference)
    lacking = JpegParts(parts.head, parts.frames, [*parts.scans[:4], *parts.scans[5:]], True).file()
    with pytest.raises(UnreadableImageError, match="Inconsistent progression"):
        decode_image(lacking, "a.jpg")


def test_restart_intervals_may_be_followed_by_zeros_but_not_lack_data() -> None:
    data = clean("restarts")
    reference = np.asarray(Image.open(io.BytesIO(data)))
    place = data.index(b"\xff\xd2")
    assert np.array_equal(decode_image(data[:place] + bytes(40) + data[place:], "a.jpg"), reference)
    for lacking in (data[: place - 30] + data[place:], data[: place - 30] + bytes(30) + data[place:]):
        with pytest.raises(UnreadableImageError):
            decode_image(lacking, "a.jpg")


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_press_pictures_with_odd_headers(mode: str, tmp_path: Path) -> None:
    picture = Image.open(io.BytesIO(clean("baseline"))).convert(mode)
    picture.save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    reference = np.asarray(Image.open(tmp_path / "whole.jpg").convert("RGB"))
    odd = scan_parameters(data)
    np.testing.assert_array_equal(decode_image(data, "a.jpg"), reference)
    np.testing.assert_array_equal(decode_image(odd, "a.jpg"), reference)
    third = len(data) // 3
    for torn in (data[: 2 * third], data[:third] + bytes(third) + data[2 * third :], odd[: 2 * third]):
        with pytest.raises(UnreadableImageError):
            decode_image(torn, "a.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_odd_picture_is_turned_too(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    Image.open(io.BytesIO(clean("baseline"))).save(buffer, "JPEG", exif=exif, quality=90)
    odd = scan_parameters(after_start(bytes(100))(buffer.getvalue()))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(buffer.getvalue()))))
    np.testing.assert_array_equal(decode_image(odd, "a.jpg"), upright)


def test_the_common_picture_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.reading.jpeg_reader.jpeg_parts", None)
    for variant in VARIANTS:
        assert not decode_stored(clean(variant), "a.jpg").odd_header
