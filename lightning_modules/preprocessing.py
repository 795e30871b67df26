"""Repeats, from a checkpoint alone, what evaluation did to an image."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def preprocess(image: npt.NDArray[np.uint8], pipeline: dict[str, Any] | None, image_size: int) -> Tensor:
    """Prepare one image.

    Args:
        image: Pixels, uint8 of shape (height, width, 3), RGB.
        pipeline: An Albumentations pipeline as a plain dict; None resizes to a square.
        image_size: Side of that square in pixels.

    Returns:
        Pixels, uint8 of shape (3, height, width).
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the package index for a newer release
    import albumentations as A

    if pipeline is None:
        transform = A.Compose([A.Resize(image_size, image_size, area_for_downscale="image")])
    else:
        transform = A.from_dict(pipeline)
    pixels = transform(image=image)["image"]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
