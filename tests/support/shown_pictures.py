"""Pictures as files of any format, and what has to be seen of them."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.reading.image_reader import decode_image

Pixels = npt.NDArray[Any]


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
