"""Tries whether a network takes the images of a run."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from lightning_modules.prediction.preprocessing import evaluated_size


def check_image_sizes(module: nn.Module, hparams: Mapping[str, Any], training: bool) -> None:
    """Refuse a size at which a network fails, before a run begins.

    Args:
        module: Takes uint8 images of shape (batch, 3, side, side).
        hparams: ``backbone``, for the message, ``image_size`` and ``preprocessing``.
        training: Try the size of training images too; else the network has been trained at it.

    Raises:
        MisconfigurationException: If it fails on a black image.
    """
    image_size = hparams["image_size"]
    evaluated = evaluated_size(hparams["preprocessing"], image_size)
    for side in {image_size, evaluated} if training else {evaluated} - {image_size}:
        reason = _complaint(module, side)
        if reason is not None:
            advice = "change data.image_size or data.eval_scale"
            if not training:
                advice = (
                    f"it was trained at {image_size}, so set data.image_size to {image_size} and data.eval_scale to 1"
                )
            raise MisconfigurationException(
                f"model.backbone {hparams['backbone']} can't take images of {side} pixels ({reason}): {advice}."
            )


def check_trained_size(module: nn.Module, hparams: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    """Refuse weights that were trained at a size for which the network has other weights, as transformers do.

    Args:
        module: What is to take the weights.
        hparams: ``backbone``, ``class_names`` and ``image_size`` that it was built with.
        checkpoint: ``hyper_parameters`` and ``state_dict``; a sharded one has no ``state_dict`` here, and isn't looked
            at.

    Raises:
        MisconfigurationException: If the sizes differ, and weights have other shapes.
    """
    stored = checkpoint.get("hyper_parameters", {})
    trained, mine = stored.get("image_size"), hparams["image_size"]
    weights, own = checkpoint.get("state_dict", {}), module.state_dict()
    other = stored.get("backbone") != hparams["backbone"]
    if trained in (None, mine) or other or len(stored.get("class_names", ())) != len(hparams["class_names"]):
        return  # in the latter cases, weights differ for other reasons
    if any(key in own and own[key].shape != tensor.shape for key, tensor in weights.items()):
        adapts = hparams["backbone"].startswith("vit_")  # of torchvision; see load_weights
        other_way = ", or begin a new training with the checkpoint as model.weights, which adapt" if adapts else ""
        raise MisconfigurationException(
            f"model.backbone {hparams['backbone']} was trained with data.image_size {trained}, and can't go on with "
            f"{mine}: set data.image_size to {trained}{other_way}."
        )


def _complaint(module: nn.Module, side: int) -> str | None:
    """Say what a network objects to in images of a size; None if it takes them."""
    device = next(module.parameters()).device
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            module(torch.zeros(1, 3, side, side, dtype=torch.uint8, device=device))
    except (RuntimeError, ValueError, AssertionError) as error:
        return str(error).strip().partition("\n")[0].rstrip(".")
    finally:
        module.train(training)
    return None
