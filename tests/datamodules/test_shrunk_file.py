"""Files of photographs are made smaller, and seen as before."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules.reading.image_reader import UnreadableImageError, decode_image
from datamodules.reading.shrunk_file import shrink, shrink_box


def encoded(kind: str = "JPEG", size: tuple[int, int] = (300, 200), **options: Any) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_smaller_file_is_as_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(exif=exif, quality=95)
    small, across, down = shrink(data, "a.jpg", 75)
    assert (across, down) == (0.25, 0.25)
    whole, seen = decode_image(data, "a.jpg"), decode_image(small, "a.jpg")
    assert seen.shape == tuple(length // 4 if length > 3 else length for length in whole.shape)
    expected = cv2.resize(whole, seen.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(seen.astype(int) - expected).mean() < 3


@pytest.mark.parametrize(("kind", "max_side"), [("JPEG", 300), ("PNG", 300), ("JPEG", None)])
def test_others_stay_to_the_byte(kind: str, max_side: int | None) -> None:
    data = encoded(kind)
    assert shrink(data, "a", max_side) == (data, 1, 1)


def test_a_narrow_picture_keeps_a_pixel() -> None:
    assert decode_image(shrink(encoded(size=(2000, 3)), "a", 100).data, "a").shape == (1, 100, 3)


def test_damaged_files_are_named() -> None:
    with pytest.raises(UnreadableImageError, match=r"a\.jpg"):
        shrink(encoded()[:-200], "a.jpg", 75)


def test_boxes_keep_every_pixel_that_they_touch() -> None:
    box = np.array([3, 5, 9, 11])
    shrink_box(box, 0.5, 0.25)
    assert box.tolist() == [1, 1, 5, 3]
