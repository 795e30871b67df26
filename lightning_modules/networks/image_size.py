"""Tries whether a network takes images of a size."""

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn


def check_image_size(module: nn.Module, backbone: str, side: int, trained: int | None = None) -> None:
    """Refuse a size at which a network fails, before a run begins.

    Args:
        module: Takes uint8 images of shape (batch, 3, side, side).
        backbone: Name of its network, for the message.
        side: Side of the images in pixels.
        trained: Side that the network was trained at, for the message.

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
        advice = "change data.image_size or data.eval_scale"
        if trained is not None:
            advice = f"it was trained at {trained}, so set data.image_size to {trained} and data.eval_scale to 1"
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise MisconfigurationException(
            f"model.backbone {backbone} can't take images of {side} pixels ({reason}): {advice}."
        ) from error
    module.train(training)
