"""Tries whether a network takes images of a size."""

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn


def check_image_size(module: nn.Module, backbone: str, side: int) -> None:
    """Refuse a size at which a network fails, before a run begins.

    Args:
        module: Takes uint8 images of shape (batch, 3, side, side).
        backbone: Name of its network, for the message.
        side: Side of the images in pixels.

    Raises:
        MisconfigurationException: If it fails on a black image.
    """
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
