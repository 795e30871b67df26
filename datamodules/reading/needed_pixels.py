"""Finds how many pixels of a picture a pipeline can need."""

import math
from typing import NamedTuple

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from datamodules.random_relative_crop import RandomRelativeCrop

_REDUCTIONS = (8, 4, 2)  # of libjpeg's that are fast
_OF_ANY_SIZE = (A.HorizontalFlip, A.VerticalFlip, A.ColorJitter)  # do the same to pictures of all sizes


class NeededPixels(NamedTuple):
    """What the first step that changes the size needs, at the least.

    Attributes:
        side: Pixels of the shorter side.
        mean: Pixels of the geometric mean of both sides.
    """

    side: float
    mean: float = 0.0

    def times(self, height: int, width: int) -> float:
        """Compute how many times too large a picture is.

        Args:
            height: Its height in pixels.
            width: Its width.

        Returns:
            The factor by which both sides may be divided; below 1 it is too small.
        """
        return min(min(height, width) / max(self.side, 1), math.sqrt(height * width) / max(self.mean, 1))

    def reduction(self, height: int, width: int) -> int:
        """Choose how many times smaller a JPEG may be decoded.

        Args:
            height: Its height in pixels.
            width: Its width.

        Returns:
            1, 2, 4 or 8.
        """
        times = self.times(height, width)
        return next((factor for factor in _REDUCTIONS if factor <= times), 1)

    def shrunk(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Shrink a picture to what is needed.

        Args:
            image: The picture, uint8 of shape (height, width, 3).

        Returns:
            The smaller picture; the same where it isn't too large.
        """
        height, width = image.shape[:2]
        times = self.times(height, width)
        if times <= 1:
            return image
        size = math.ceil(width / times), math.ceil(height / times)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def needed_pixels(pipeline: A.Compose) -> NeededPixels | None:
    """Find out what a pipeline needs.

    Args:
        pipeline: Albumentations steps.

    Returns:
        The pixels; None if it isn't known, since a step may look at single pixels of the whole picture.
    """
    for step in getattr(pipeline, "transforms", ()):  # of other callables nothing is known
        if isinstance(step, A.Resize) and step.p == 1:
            return NeededPixels(max(step.height, step.width))
        if isinstance(step, A.RandomResizedCrop) and step.p == 1:
            (smallest, _), (narrow, wide) = step.scale, step.ratio
            height, width = step.size
            pixels = max(width / math.sqrt(smallest * narrow), height / math.sqrt(smallest / wide))
            return NeededPixels(pixels) if isinstance(step, RandomRelativeCrop) else NeededPixels(0, pixels)
        if not isinstance(step, _OF_ANY_SIZE):
            return None
    return None
