"""Albumentations pipelines: the defaults, and how a list from a config becomes one."""

import hashlib
import random
import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

import albumentations as A
import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.color_jitter import ColorJitter
from datamodules.random_relative_crop import RandomRelativeCrop

Step: TypeAlias = A.BasicTransform | A.BaseCompose


def default_train_steps(image_size: int) -> list[Step]:
    """Build the augmentation of training images.

    Crops keep at least half of the picture: the common lower bound of 8 % shows doors and wheels that many models
    share. Shrinking averages over the area, since Albumentations' plain interpolation aliases.

    Args:
        image_size: Side of the square result in pixels.

    Returns:
        Random crop, horizontal flip and a mild colour jitter.
    """
    return [
        RandomRelativeCrop(
            size=(image_size, image_size), scale=(0.5, 1.0), ratio=(0.75, 4 / 3), area_for_downscale="image"
        ),
        A.HorizontalFlip(p=0.5),
        ColorJitter(brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.02, 0.02), p=0.5),
    ]


def default_eval_steps(image_size: int) -> list[Step]:
    """Build the preparation of images for validation, test and prediction.

    The whole picture is squeezed into a square: on cars this beats centre crops (88.0 against 86.6 %) and padding
    (86.0 %) (jianshen92/stanford-car-grab-challenge, ablation).

    Args:
        image_size: Side of the square result in pixels.

    Returns:
        One resize.
    """
    return [A.Resize(height=image_size, width=image_size, area_for_downscale="image")]


def compose(steps: Sequence[Step]) -> A.Compose:
    """Join steps into one pipeline.

    Args:
        steps: Albumentations transforms, in order.

    Returns:
        The pipeline, which takes and returns uint8 arrays of shape (height, width, 3) by the keyword ``image``.

    Raises:
        MisconfigurationException: If the steps don't join.
    """
    try:
        return A.Compose(list(steps))
    except (TypeError, ValueError) as error:
        raise MisconfigurationException(f"Can't build the image transforms: {error}.") from error


def augment(
    pipeline: A.Compose, image: npt.NDArray[np.uint8], key: tuple[int, ...] | None = None
) -> npt.NDArray[np.uint8]:
    """Run a pipeline with random numbers that follow from a key or from the picture alone.

    Args:
        pipeline: The pipeline.
        image: Pixels, uint8 of shape (height, width, 3).
        key: What the random numbers depend on, non-negative: the seed, the epoch, the sample. None takes the picture,
            so that it looks the same whichever command evaluates it, and at whichever place in whichever list.

    Returns:
        The transformed picture, uint8 of shape (height, width, 3).

    Raises:
        MisconfigurationException: If the pipeline fails or returns something else.
    """
    if key is None:
        _seed_by_picture(pipeline, image)
    else:
        _seed(pipeline, key)
    try:
        result: npt.NDArray[np.uint8] = pipeline(image=image)["image"]
    except Exception as error:  # a step raises whatever its author liked
        height, width = image.shape[:2]
        raise MisconfigurationException(
            f"The image transforms fail on a picture of {width}x{height} pixels ({type(error).__name__}: "
            f"{' '.join(str(error).split()).rstrip('.')}): change data.train_transforms or data.eval_transforms."
        ) from error
    if result.dtype != np.uint8 or result.ndim != 3 or result.shape[2] != 3:
        raise MisconfigurationException(
            f"The image transforms have to return uint8 of shape (height, width, 3), not {result.dtype} of shape "
            f"{tuple(result.shape)}: leave Normalize and ToTensorV2 out, the network does their work."
        )
    return result


def _seed_by_picture(pipeline: A.Compose, image: npt.NDArray[np.uint8]) -> None:
    """Seed by a grid of pixels, which is enough to tell pictures apart."""
    grid = image[:: max(1, len(image) // 64), :: max(1, image.shape[1] // 64)]
    digest = hashlib.blake2b(grid.tobytes(), digest_size=16).digest()
    number = int.from_bytes(digest, "little")
    pipeline.set_random_state(np.random.default_rng(number), random.Random(number))  # noqa: S311 - no secret


def _seed(pipeline: A.Compose, key: tuple[int, ...]) -> None:
    """Set the two streams that all steps of a pipeline draw from.

    Albumentations' ``set_random_seed`` gives each step the same numbers, so that a picture is jittered just when it is
    flipped; and it makes new generators for each step, which takes time.
    """
    if any(step.random_generator is not pipeline.random_generator for step in pipeline.transforms):
        pipeline.set_random_state(np.random.Generator(np.random.PCG64(0)), random.Random(0))  # noqa: S311 - no secret
    digest = hashlib.blake2b(struct.pack(f"<{len(key)}q", *key), digest_size=40).digest()
    pipeline.random_generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int.from_bytes(digest[:16], "little"), "inc": int.from_bytes(digest[16:32], "little") | 1},
        "has_uint32": 0,
        "uinteger": 0,
    }
    pipeline.py_random.seed(int.from_bytes(digest[32:], "little"))


def as_plain_dict(pipeline: A.Compose) -> dict[str, Any]:
    """Describe a pipeline by plain values, to be stored in a checkpoint.

    Args:
        pipeline: The pipeline.

    Returns:
        What ``albumentations.from_dict`` builds the same pipeline from, of dicts, lists, strings and numbers.
    """
    plain: dict[str, Any] = _plain(pipeline.to_dict())
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
