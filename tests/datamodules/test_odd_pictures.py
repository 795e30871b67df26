"""Pictures of other formats than JPEG in odd colours, depths and positions: right, or refused in a sentence."""

import importlib.util
import io
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps, features

from datamodules.reading.image_reader import UnreadableImageError, decode_image

Pixels = npt.NDArray[Any]
LOSSLESS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
heic = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is an extra")


@pytest.fixture
def colours() -> npt.NDArray[np.uint8]:
    """Red, blue, green and dark areas, 60 x 44."""
    pixels = np.zeros((44, 60, 3), np.uint8)
    pixels[:20], pixels[:, :10], pixels[30:, 30:] = (255, 0, 0), (0, 0, 255), (10, 200, 40)
    return pixels


@pytest.fixture
def see_through(colours: npt.NDArray[np.uint8]) -> Image.Image:
    """The same, half transparent, and wholly at the top."""
    alpha = np.full((44, 60, 1), 128, np.uint8)
    alpha[:5] = 0
    return Image.fromarray(np.concatenate([colours, alpha], axis=2))


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def on_white(picture: Image.Image) -> Pixels:
    """What a browser shows: colour times alpha plus white times the rest."""
    pixels = np.asarray(picture.convert("RGBA")).astype(float)
    alpha = pixels[..., 3:] / 255
    return np.asarray(pixels[..., :3] * alpha + 255 * (1 - alpha))


def assert_shows(data: bytes, expected: Pixels, off: int = 1) -> None:
    image = decode_image(data, "odd.picture")
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert np.abs(image.astype(float) - expected).max() <= off


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


@pytest.mark.parametrize(("extra", "depth"), [(1, 16), (2, 8), (2, 16), (0, 8), (0, 16)])
def test_the_fourth_sample_of_a_tiff(see_through: Image.Image, extra: int, depth: int) -> None:
    pixels = np.asarray(see_through).astype(float)
    if extra == 1:  # colours already multiplied by alpha
        pixels[..., :3] *= pixels[..., 3:] / 255
    values = np.rint(pixels * (257 if depth == 16 else 1)).astype("<u2" if depth == 16 else "u1")
    expected = on_white(see_through) if extra else pixels[..., :3]
    assert_shows(tiff([values.tobytes()], **rgb(depth, 4, t338=[extra])), expected)


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
