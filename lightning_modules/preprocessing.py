"""Repeats, from a checkpoint alone, what evaluation did to an image."""

import hashlib
import os
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

_USUAL = ((300, 400), (1200, 1600), (3000, 4000))  # heights and widths of photographs


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
    # what is random follows from the picture, as in datamodules.pipelines
    grid = image[:: max(1, len(image) // 64), :: max(1, image.shape[1] // 64)]
    number = int.from_bytes(hashlib.blake2b(grid.tobytes(), digest_size=16).digest(), "little")
    transform.set_random_state(np.random.default_rng(number), random.Random(number))  # noqa: S311 - no secret
    pixels = transform(image=image)["image"]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def evaluated_size(pipeline: dict[str, Any] | None, image_size: int) -> int:
    """Find the size at which evaluation shows pictures to the network.

    Args:
        pipeline: As that of ``preprocess``.
        image_size: As that of ``preprocess``.

    Returns:
        The side in pixels.

    Raises:
        MisconfigurationException: If the pipeline fails on pictures of any usual size.
    """
    reason = ""
    for height, width in _USUAL:  # a crop may be larger than a small picture
        try:
            return int(preprocess(np.zeros((height, width, 3), np.uint8), pipeline, image_size).shape[-1])
        except Exception as error:
            reason = reason or f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
    raise MisconfigurationException(
        f"data.eval_transforms fail on pictures of {' and '.join(f'{width}x{height}' for height, width in _USUAL)} "
        f"pixels ({reason}): change them."
    )
