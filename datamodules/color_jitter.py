"""Colour jitter that is faster than Albumentations'."""

from typing import Any

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

_GRAY = np.array([0.2989, 0.587, 0.114])  # torchvision's weights of red, green and blue, those of ITU-R BT.601


class ColorJitter(A.ColorJitter):  # type: ignore[misc] # Albumentations ships no types
    """``albumentations.ColorJitter``, which is torchvision's, by matrices on 8-bit colours.

    It draws the same numbers from the same arguments. Brightness, contrast and saturation are one matrix product each,
    which OpenCV makes faster than it looks values up in tables; the hue turns in 256 steps. Results differ from
    torchvision's by what the rounding to 8 bits after each step may make (tests/datamodules/test_color_jitter.py).
    """

    def apply(
        self,
        img: Image,
        brightness: float,
        contrast: float,
        saturation: float,
        hue: float,
        order: list[int],
        **params: Any,
    ) -> Image:
        """Change the colours.

        Args:
            img: The picture, uint8 of shape (height, width, 3); others are left to Albumentations.
            brightness: Factor of all colours.
            contrast: Factor of the distance from the mean grey.
            saturation: Factor of the distance from the pixel's grey.
            hue: Turn of the hue, from -0.5 to 0.5 of a circle.
            order: Numbers of these four, in their order.
            **params: Other parameters of the call.

        Returns:
            The picture, of the same shape.
        """
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            return super().apply(img, brightness, contrast, saturation, hue, order, **params)  # type: ignore[no-any-return]
        steps = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
        for number in order:
            img = steps[number](img, (brightness, contrast, saturation, hue)[number])
        return img


def adjust_brightness(image: Image, factor: float) -> Image:
    """Multiply all colours by a factor.

    Args:
        image: uint8 of shape (height, width, 3).
        factor: The factor.

    Returns:
        The picture.
    """
    return _linear(image, np.eye(3) * factor, 0.0)


def adjust_contrast(image: Image, factor: float) -> Image:
    """Multiply the distance of all colours from the mean grey; arguments and result as in ``adjust_brightness``."""
    mean = float(np.dot(cv2.mean(image)[:3], _GRAY))
    return _linear(image, np.eye(3) * factor, (1 - factor) * mean)


def adjust_saturation(image: Image, factor: float) -> Image:
    """Multiply the distance of each colour from its grey; arguments and result as in ``adjust_brightness``."""
    return _linear(image, np.eye(3) * factor + (1 - factor) * np.tile(_GRAY, (3, 1)), 0.0)


def adjust_hue(image: Image, turn: float) -> Image:
    """Turn the hue of each colour.

    Args:
        image: uint8 of shape (height, width, 3), RGB.
        turn: By what share of a circle.

    Returns:
        The picture.
    """
    steps = round(256 * turn) % 256
    if not steps:
        return image
    height, width = image.shape[:2]
    turned = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    rows = turned.reshape(height, 3 * width)
    rows += np.tile(np.array([steps, 0, 0], np.uint8), width)  # goes round at 256, as a hue does
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def _linear(image: Image, matrix: npt.NDArray[np.float64], offset: float) -> Image:
    return np.asarray(cv2.transform(image, np.hstack([matrix, np.full((3, 1), offset)])), np.uint8)
