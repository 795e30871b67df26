"""Tries whether a network takes the images of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from lightning_modules.preprocessing import preprocess


def check_image_sizes(module: nn.Module, hparams: Mapping[str, Any]) -> None:
    """Refuse a size of training or evaluation at which a network fails, before a run begins.

    Args:
        module: Takes uint8 images of shape (batch, 3, side, side).
        hparams: ``backbone``, for the message, ``image_size`` and ``preprocessing``.

    Raises:
        MisconfigurationException: If it fails on a black image.
    """
    image_size = hparams["image_size"]
    evaluated = preprocess(np.zeros((1, 1, 3), np.uint8), hparams["preprocessing"], image_size)
    for side in {image_size, evaluated.shape[-1]}:
        _check_image_size(module, hparams["backbone"], side)


def _check_image_size(module: nn.Module, backbone: str, side: int) -> None:
    device = next(module.parameters()).device
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            module(torch.zeros(1, 3, side, side, dtype=torch.uint8, device=device))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise MisconfigurationException(
            f"model.backbone {backbone} can't take images of {side} pixels ({str(error).splitlines()[0]}): change "
            "data.image_size or data.eval_scale."
        ) from error
    module.train(training)
