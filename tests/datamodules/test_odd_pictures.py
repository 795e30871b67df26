"""Pictures that are deep, transparent or HEIC: right, or refused in a sentence."""

import importlib.util
import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from datamodules.reading.image_reader import UnreadableImageError, decode_image
from tests.support.shown_pictures import Pixels, assert_shows, encoded, on_white

LOSSLESS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
heic = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is an extra")


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("top", [255, 1023, 4095, 16383, 65535])
@pytest.mark.parametrize("grey_", [False, True])
def test_few_significant_bits_of_sixteen_are_not_black(colours: Pixels, suffix: str, top: int, grey_: bool) -> None:
    shown = colours[..., :1].repeat(3, axis=2) if grey_ else colours
    deep = np.rint(colours / 255 * top).astype(np.uint16)
    data = cv2.imencode(f".{suffix}", deep[..., 0] if grey_ else deep[..., ::-1])[1].tobytes()
    assert_shows(data, shown)


def test_dark_pictures_of_true_sixteen_bits_stay_dark(colours: Pixels) -> None:
    for suffix in ("png", "tif"):
        data = cv2.imencode(f".{suffix}", colours.astype(np.uint16)[..., ::-1] * 100)[1].tobytes()
        assert_shows(data, colours * (100 / 257))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_transparent_pictures_lie_on_white(see_through: Image.Image, kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("no encoder")
    options = LOSSLESS.get(kind, {})
    assert_shows(encoded(see_through, kind, **options), on_white(see_through), off=4 if kind == "AVIF" else 1)


def test_each_way_of_png_and_gif_to_be_transparent(colours: Pixels, see_through: Image.Image) -> None:
    picture = Image.fromarray(colours)
    holes = colours.copy()
    holes[(colours == (255, 0, 0)).all(axis=2)] = 255
    palette, light = picture.quantize(8), picture.convert("L")
    red, shade = palette.getpixel((30, 5)), light.getpixel((30, 5))
    lights = np.asarray(light)
    assert_shows(encoded(picture, "PNG", transparency=(255, 0, 0)), holes)
    assert_shows(encoded(palette, "PNG", transparency=red), holes)
    assert_shows(encoded(palette, "GIF", transparency=red), holes)
    expected = np.where(lights == shade, 255, lights)[..., None].repeat(3, axis=2)
    assert_shows(encoded(light, "PNG", transparency=shade), expected)
    deep_light = Image.fromarray(lights.astype(np.uint16) * 257)
    assert_shows(encoded(deep_light, "PNG", transparency=int(lights[5, 30]) * 257), expected)
    assert_shows(encoded(see_through.convert("LA"), "PNG"), on_white(see_through.convert("LA")))
    deep = np.asarray(see_through)[..., [2, 1, 0, 3]].astype(np.uint16) * 257
    assert_shows(cv2.imencode(".png", deep)[1].tobytes(), on_white(see_through))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_transparent_pictures_are_turned_once(see_through: Image.Image, kind: str, orientation: int) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("no encoder")
    exif = Image.Exif()
    exif[274] = orientation
    options = LOSSLESS.get(kind, {})
    data = encoded(see_through, kind, exif=exif, **options)
    expected = on_white(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert_shows(data, expected)


@heic
@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_read_upright_and_in_its_colours(colours: Pixels, orientation: int) -> None:
    import pillow_heif

    if not pillow_heif.libheif_info()["HEIF"]:
        pytest.skip("no encoder")
    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    options = {"exif": exif.tobytes(), "quality": 95, "chroma": 444}  # the encoder adds the properties that turn it
    pillow_heif.encode("RGB", (60, 44), colours.tobytes(), buffer, **options)
    turned = Image.open(io.BytesIO(encoded(Image.fromarray(colours), "PNG", exif=exif)))
    assert_shows(buffer.getvalue(), np.asarray(ImageOps.exif_transpose(turned)), off=6)
    for length in (40, len(buffer.getvalue()) // 2, len(buffer.getvalue()) - 1):
        with pytest.raises(UnreadableImageError, match="a HEIC picture that is cut off or damaged"):
            decode_image(buffer.getvalue()[:length], "phone.heic")


@heic
def test_transparent_heic_lies_on_white(see_through: Image.Image) -> None:
    import pillow_heif

    if not pillow_heif.libheif_info()["HEIF"]:
        pytest.skip("no encoder")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(see_through).save(buffer, quality=95, chroma=444)
    assert_shows(buffer.getvalue(), on_white(see_through), off=8)


def test_heic_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UnreadableImageError, match=r"a HEIC picture: pip install -e '\.\[heic\]' reads it, or convert"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(99), "IMG_1.HEIC")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!doctype html><title>404</title>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a Git LFS pointer: run git lfs pull"),
        (b"%PDF-1.7", "it is a PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "it is a PNG picture that is cut off or damaged"),
        (b"RIFF\0\1\0\0WEBPVP8 " + bytes(9), "it is a WebP picture that is cut off or damaged"),
        (b"\xff\xd8\xff\xe0", "the JPEG picture is cut off"),
        (b"", "the file is empty"),
        (bytes(range(128, 200)), "it is of no known format, or damaged from its beginning"),
    ],
)
def test_the_message_says_what_the_file_is(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError) as error:
        decode_image(data, "photo.jpg")
    assert str(error.value).startswith("Can't decode the image photo.jpg: ")
    assert reason in str(error.value)
    assert str(error.value).endswith(".")
