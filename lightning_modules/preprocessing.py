"""Repeats, from a checkpoint alone, what evaluation did to an image."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    import albumentations as A


def pipeline_of(stored: dict[str, Any] | None, image_size: int) -> "A.Compose":
    """Build the pipeline.

    Args:
        stored: An Albumentations pipeline as a plain dict; None resizes to a square.
        image_size: Side of that square in pixels.

    Returns:
        The pipeline, for one thread at a time.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the package index for a newer release
    import albumentations as A

    if stored is None:
        return A.Compose([A.Resize(image_size, image_size, area_for_downscale="image")])
    pipeline: A.Compose = A.from_dict(stored)
    return pipeline


def preprocess(image: npt.NDArray[np.uint8], stored: dict[str, Any] | None, image_size: int) -> Tensor:
    """Prepare one image.

    Args:
        image: Pixels, uint8 of shape (height, width, 3), RGB.
        stored: As in ``pipeline_of``.
        image_size: As in ``pipeline_of``.

    Returns:
        Pixels, uint8 of shape (3, height, width).
    """
    pixels = pipeline_of(stored, image_size)(image=image)["image"]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
