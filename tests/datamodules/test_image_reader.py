from pathlib import Path

import cv2
import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image, ImageOps

from datamodules.files.file_search import find_images
from datamodules.reading.image_reader import read_image


@pytest.fixture
def photo() -> Image.Image:
    ramp = np.linspace(0, 255, 90 * 60 * 3).reshape(60, 90, 3).astype(np.uint8)
    return Image.fromarray(ramp)


def test_equals_pillow(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.jpg", quality=90)
    np.testing.assert_array_equal(read_image(tmp_path / "photo.jpg"), np.asarray(Image.open(tmp_path / "photo.jpg")))


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *(("L", "jpg"), ("CMYK", "jpg"), ("L", "png"), ("RGBA", "png"), ("LA", "png"), ("P", "png"), ("1", "png")),
        *(("P", "gif"), ("RGB", "bmp"), ("RGB", "tif"), ("CMYK", "tif")),
    ],
)
def test_every_colour_mode_becomes_rgb(photo: Image.Image, tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    photo.convert(mode).save(path)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - np.asarray(Image.open(path).convert("RGB")).astype(int)).max() <= 1


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 60 * 90).reshape(60, 90).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    grey = read_image(tmp_path / "deep.png")
    assert np.abs(grey[..., 0].astype(float) - deep / 257).max() <= 1
    assert (grey == grey[..., :1]).all()


def test_the_first_frame_of_an_animation_counts(photo: Image.Image, tmp_path: Path) -> None:
    for suffix in ("gif", "webp", "png"):
        path = tmp_path / f"moving.{suffix}"
        frames = [photo.convert("P" if suffix == "gif" else "RGB"), ImageOps.invert(photo)]
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        first = np.asarray(frames[0].convert("RGB")).astype(int)
        assert np.abs(read_image(path).astype(int) - first).max() <= 1


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(10))
def test_orientation_is_applied_as_pillow_does(
    photo: Image.Image, tmp_path: Path, orientation: int, suffix: str
) -> None:
    path = tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    photo.save(path, exif=exif, lossless=True)
    upright = ImageOps.exif_transpose(Image.open(path))
    np.testing.assert_array_equal(read_image(path), np.asarray(upright))


def test_boxes_turn_with_the_picture(photo: Image.Image, tmp_path: Path) -> None:
    path, box = tmp_path / "turned.png", (10, 5, 40, 25)
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees to be seen upright
    photo.save(path, exif=exif)
    np.testing.assert_array_equal(read_image(path, box), np.rot90(np.asarray(photo.crop(box)), 3))
    with pytest.raises(MisconfigurationException, match=r"turned\.png lies outside of the 90x60 image"):
        read_image(path, (90, 0, 95, 10))


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_truncated_file_is_refused_by_name(photo: Image.Image, tmp_path: Path, keep: float) -> None:
    photo.save(tmp_path / "whole.jpg", quality=95)
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "torn.jpg").write_bytes(data[: int(keep if keep > 1 else keep * len(data))])
    with pytest.raises(MisconfigurationException, match=r"torn\.jpg"):
        read_image(tmp_path / "torn.jpg")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kind", ["middle missing", "middle zero"])
def test_half_grey_pictures_are_refused(tmp_path: Path, kind: str, progressive: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg", progressive=progressive)
    data = (tmp_path / "whole.jpg").read_bytes()
    third = len(data) // 3
    middle = b"" if kind == "middle missing" else bytes(third)
    torn = data[:third] + middle + data[2 * third :]
    (tmp_path / "grey.jpg").write_bytes(torn if kind == "middle zero" else data[:third] + data[-2:])
    assert cv2.imdecode(np.fromfile(tmp_path / "grey.jpg", np.uint8), cv2.IMREAD_COLOR) is not None  # nothing noticed
    with pytest.raises(MisconfigurationException, match=r"grey\.jpg: Corrupt JPEG data"):
        read_image(tmp_path / "grey.jpg")


def test_stray_bytes_between_the_parts_of_a_file_do_no_harm(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "clean.jpg")
    data = (tmp_path / "clean.jpg").read_bytes()
    (tmp_path / "stray.jpg").write_bytes(data[:-2] + b"\0\0\0" + data[-2:])
    np.testing.assert_array_equal(read_image(tmp_path / "stray.jpg"), read_image(tmp_path / "clean.jpg"))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException, match=r"nothing\.jpg"):
        read_image(tmp_path / "nothing.jpg")


def test_decompression_bomb_is_refused(tmp_path: Path) -> None:
    header = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    size = (20_000).to_bytes(4, "big") * 2
    (tmp_path / "bomb.png").write_bytes(header[:16] + size + header[24:])
    with pytest.raises(MisconfigurationException, match=r"bomb\.png"):
        read_image(tmp_path / "bomb.png")


def test_images_are_found_in_subfolders(photo: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.JPG", "b/a.png", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.removeprefix(f"{tmp_path}/") for path in find_images(tmp_path)] == ["b/a.png", "c.JPG"]
