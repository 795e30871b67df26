"""TIFFs in odd colours, depths and positions: right, or refused in a sentence."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from datamodules.reading.image_reader import UnreadableImageError, decode_image
from tests.support.shown_pictures import Pixels, assert_shows, encoded, on_white


def tiff(strips: list[bytes], order: str = "<", shape: tuple[int, int] = (44, 60), **tags: list[int]) -> bytes:
    """Write an uncompressed TIFF 6.0 with these tags, by their numbers (``t262=[2]``)."""
    offsets, place = [], 8
    for strip in strips:
        offsets.append(place)
        place += len(strip)
    entries = {256: [shape[1]], 257: [shape[0]], 273: offsets, 279: [len(strip) for strip in strips]}
    entries |= {int(name[1:]): values for name, values in tags.items()}
    directory, extra = struct.pack(f"{order}H", len(entries)), b""
    beyond = place + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        letter, code = ("I", 4) if tag in (273, 279) else ("H", 3)
        content = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(content) > 4:
            extra, content = extra + content, struct.pack(f"{order}I", beyond + len(extra))
        directory += struct.pack(f"{order}HHI", tag, code, len(values)) + content.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", place)
    return start + b"".join(strips) + directory + bytes(4) + extra


def rgb(depth: int = 8, samples: int = 3, **more: list[int]) -> dict[str, Any]:
    return {"t258": [depth] * samples, "t262": [2], "t277": [samples], **more}


def grey(depth: int = 8, **more: list[int]) -> dict[str, Any]:
    return {"t258": [depth], "t262": [1], "t277": [1], **more}


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiffs_are_turned_once(colours: Pixels, orientation: int, compression: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(Image.fromarray(colours), "TIFF", exif=exif, compression=compression)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert_shows(data, np.asarray(upright), off=0)
    box = (5, 10, 40, 35)
    plain = encoded(Image.fromarray(colours), "TIFF", compression=compression)
    part = Image.fromarray(np.ascontiguousarray(decode_image(plain, "a.tif")[10:35, 5:40]))
    turned = Image.open(io.BytesIO(encoded(part, "PNG", exif=exif)))
    np.testing.assert_array_equal(decode_image(data, "a.tif", box), np.asarray(ImageOps.exif_transpose(turned)))


@pytest.mark.parametrize("orientation", [3, 5, 6])
@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_tiffs_are_turned_once(colours: Pixels, order: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(Image.fromarray(colours), "PNG", exif=exif))))
    deep = (colours.astype(np.uint16) * 257).astype(f"{order}u2").tobytes()
    assert_shows(tiff([deep], order, **rgb(16, t274=[orientation])), np.asarray(upright), off=0)
    assert_shows(encoded(Image.fromarray(colours), "TIFF", exif=exif, big_tiff=True), np.asarray(upright), off=0)


def test_tiffs_of_all_kinds_have_their_colours(colours: Pixels) -> None:
    red = colours[..., 0]
    three = red[..., None].repeat(3, axis=2)
    deep = (colours.astype("<u2") * 257).astype("<u2")
    bits = np.packbits(red > 127, axis=1).tobytes()
    cmyk = np.asarray(Image.fromarray(colours).convert("CMYK"))
    ycbcr = np.asarray(Image.fromarray(colours).convert("YCbCr"))
    lab = np.tile(np.array([136, 80, 67], np.uint8), (44, 60, 1))  # CIE L*a*b* of sRGB's red
    for data, expected, off in [
        (tiff([colours.tobytes()], **rgb()), colours, 0),
        (tiff([colours.tobytes()], ">", **rgb()), colours, 0),
        (tiff([colours[..., plane].tobytes() for plane in range(3)], **rgb(t284=[2])), colours, 0),
        (tiff([deep.tobytes()], **rgb(16)), colours, 0),
        (tiff([red.tobytes()], **grey()), three, 0),
        (tiff([(255 - red).tobytes()], **grey(t262=[0])), three, 0),
        (tiff([(65535 - deep[..., 0]).astype("<u2").tobytes()], **grey(16, t262=[0])), three, 0),
        (tiff([bits], **grey(1)), np.where(three > 127, 255, 0), 0),
        (tiff([bits], **grey(1, t262=[0])), np.where(three > 127, 0, 255), 0),
        (tiff([cmyk.tobytes()], **rgb(8, 4, t262=[5])), colours, 1),
        (tiff([(cmyk.astype("<u2") * 257).astype("<u2").tobytes()], **rgb(16, 4, t262=[5])), colours, 1),
        (tiff([ycbcr.tobytes()], **rgb(t262=[6], t530=[1, 1])), colours, 2),
        (tiff([lab.tobytes()], **rgb(t262=[8])), np.tile([255, 0, 0], (44, 60, 1)), 15),
        (tiff([(lab * [1, 0, 0]).astype(np.uint8).tobytes()], **rgb(t262=[8])), np.full((44, 60, 3), 127), 3),
        (encoded(Image.fromarray(colours).quantize(8), "TIFF"), colours, 0),
        (
            encoded(Image.fromarray(colours), "TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
            colours,
            0,
        ),
    ]:
        assert_shows(data, expected, off)


def test_numbers_of_other_kinds_are_scaled_by_their_own_range(colours: Pixels) -> None:
    red = colours[..., 0]
    three = red[..., None].repeat(3, axis=2)
    for values, kind in [
        ((red / 255).astype("<f4"), 3),
        ((red * 1000.0 - 7).astype("<f4"), 3),
        ((red.astype("<i2") * 100 - 12000).astype("<i2"), 2),
        (red.astype("<u4") * 16_843_009, 1),
        (red.astype("<i4") * 1000, 2),
    ]:
        assert_shows(tiff([values.tobytes()], **grey(8 * values.itemsize, t339=[kind])), three)


def test_what_has_no_known_colours_is_refused(colours: Pixels) -> None:
    red = colours[..., 0]
    missing = (red / 255).astype("<f4")
    missing[3, 3] = np.nan
    deep = (colours.astype("<u2") * 257).astype("<u2")
    for data, reason in [
        (tiff([missing.tobytes()], **grey(32, t339=[3])), "infinite or no numbers"),
        (tiff([(colours / 255).astype("<f4").tobytes()], **rgb(32, t339=[3, 3, 3])), "colours or a depth"),
        (tiff([red.tobytes()], **grey(t339=[2])), "colours or a depth"),
        (tiff([deep[..., plane].tobytes() for plane in range(3)], **rgb(16, t284=[2])), "colours or a depth"),
        (tiff([deep.tobytes()], **rgb(16, t262=[8])), "colours or a depth"),
        (tiff([colours.tobytes()], **rgb(t262=[9])), "colours or a depth"),
        (tiff([colours.tobytes()], **rgb(t50706=[1])), "camera raw"),
        (tiff([colours.tobytes()], **rgb())[:4000], "damaged"),
    ]:
        with pytest.raises(UnreadableImageError, match=f"odd.tif: .*{reason}"):
            decode_image(data, "odd.tif")


@pytest.mark.parametrize(("extra", "depth"), [(1, 16), (2, 8), (2, 16), (0, 8), (0, 16)])
def test_the_fourth_sample_of_a_tiff(see_through: Image.Image, extra: int, depth: int) -> None:
    pixels = np.asarray(see_through).astype(float)
    if extra == 1:  # colours already multiplied by alpha
        pixels[..., :3] *= pixels[..., 3:] / 255
    values = np.rint(pixels * (257 if depth == 16 else 1)).astype("<u2" if depth == 16 else "u1")
    expected = on_white(see_through) if extra else pixels[..., :3]
    assert_shows(tiff([values.tobytes()], **rgb(depth, 4, t338=[extra])), expected)
