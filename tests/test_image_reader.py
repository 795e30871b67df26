from pathlib import Path

import cv2
import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from datamodules.image_reader import find_images, read_image


@pytest.fixture
def photo() -> Image.Image:
    ramp = np.linspace(0, 255, 90 * 60 * 3).reshape(60, 90, 3).astype(np.uint8)
    return Image.fromarray(ramp)


def test_equals_pillow(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.jpg", quality=90)
    np.testing.assert_array_equal(read_image(tmp_path / "photo.jpg"), np.asarray(Image.open(tmp_path / "photo.jpg")))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_every_colour_mode_becomes_rgb(photo: Image.Image, tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("photo.jpg" if mode in ("L", "CMYK") else "photo.png")
    photo.convert(mode).save(path)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - np.asarray(Image.open(path).convert("RGB")).astype(int)).max() <= 1


def test_orientation_is_applied_or_left(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees to be seen upright
    photo.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg", upright=True).shape == (90, 60, 3)
    assert read_image(tmp_path / "turned.jpg", upright=False).shape == (60, 90, 3)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_truncated_file_is_refused_by_name(photo: Image.Image, tmp_path: Path, keep: float) -> None:
    photo.save(tmp_path / "whole.jpg", quality=95)
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "torn.jpg").write_bytes(data[: int(keep if keep > 1 else keep * len(data))])
    with pytest.raises(MisconfigurationException, match=r"torn\.jpg"):
        read_image(tmp_path / "torn.jpg")


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
    assert [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)] == ["b/a.png", "c.JPG"]
