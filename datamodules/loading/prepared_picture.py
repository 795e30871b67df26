"""Pictures as they stand in a batch."""

from contextlib import suppress

import albumentations as A
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from datamodules.pipelines import augment
from datamodules.reading.image_reader import Image

_USUAL = ((300, 400), (1200, 1600), (3000, 4000))  # heights and widths of photographs


def prepared(transform: A.Compose, image: Image, key: tuple[int, ...] | None = None) -> Tensor:
    """Put a picture through a pipeline.

    Args:
        transform: The pipeline.
        image: The picture, uint8 of shape (height, width, 3), RGB.
        key: What the pipeline's randomness follows from; None takes the picture.

    Returns:
        Pixels, uint8 of shape (3, height, width), the colours of a pixel side by side in memory.
    """
    return as_tensor(augment(transform, image, key))


def as_tensor(image: Image) -> Tensor:
    """Look at a picture as PyTorch does.

    Args:
        image: uint8 of shape (height, width, 3).

    Returns:
        The same memory, of shape (3, height, width).
    """
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def black(transform: A.Compose) -> Tensor:
    """Make what stands in a batch where there is no picture.

    Args:
        transform: The pipeline.

    Returns:
        Pixels, uint8 of shape (3, height, width), of the pipeline's size.

    Raises:
        MisconfigurationException: If the pipeline fails on pictures of any usual size.
    """
    for height, width in _USUAL:
        with suppress(MisconfigurationException):  # a crop may be larger than a small picture
            return prepared(transform, np.zeros((height, width, 3), np.uint8))
    return prepared(transform, np.zeros((*_USUAL[0], 3), np.uint8))
