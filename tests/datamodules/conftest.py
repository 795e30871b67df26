"""Fixtures of the tests on odd pictures: one of known colours, and the same half transparent."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image


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
