"""Rebuilds the evaluation pipeline from a checkpoint alone."""

import os
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

if TYPE_CHECKING:
    import albumentations as A

_SCALES = (0.25, 4)  # as data.eval_scale
_USUAL = ((300, 400), (1200, 1600), (3000, 4000))  # heights and widths of photographs


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


def at_scale(stored: dict[str, Any] | None, image_size: int, eval_scale: float) -> dict[str, Any]:
    """Change the size at which evaluation shows pictures to the network.

    Args:
        stored: As that of ``pipeline_of``.
        image_size: As that of ``pipeline_of``.
        eval_scale: Side of evaluated images as a multiple of ``image_size``.

    Returns:
        The pipeline with another last step, as a plain dict.

    Raises:
        MisconfigurationException: If the scale makes no sense, or the pipeline doesn't end with a resizing.
    """
    least, most = _SCALES
    if not least <= eval_scale <= most:
        raise MisconfigurationException(f"eval_scale is {eval_scale}: it has to be between {least} and {most}.")
    made = pipeline_of(None, image_size).to_dict() if stored is None else deepcopy(stored)
    steps = made["transform"]["transforms"]
    if not steps or not steps[-1]["__class_fullname__"].endswith("Resize"):
        raise MisconfigurationException(
            "eval_scale needs an evaluation that resizes pictures, which this run's doesn't."
        )
    steps[-1]["height"] = steps[-1]["width"] = round(image_size * eval_scale)
    return made


def evaluated_size(stored: dict[str, Any] | None, image_size: int) -> int:
    """Find the size at which evaluation shows pictures to the network.

    Args:
        stored: As that of ``pipeline_of``.
        image_size: As that of ``pipeline_of``.

    Returns:
        The side in pixels.

    Raises:
        MisconfigurationException: If the pipeline fails on pictures of any usual size.
    """
    pipeline, reason = pipeline_of(stored, image_size), ""
    for height, width in _USUAL:  # a crop may be larger than a small picture
        try:
            return int(pipeline(image=np.zeros((height, width, 3), np.uint8))["image"].shape[1])
        except Exception as error:
            reason = reason or f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
    raise MisconfigurationException(
        f"data.eval_transforms fail on pictures of {' and '.join(f'{width}x{height}' for height, width in _USUAL)} "
        f"pixels ({reason}): change them."
    )
