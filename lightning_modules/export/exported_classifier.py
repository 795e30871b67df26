"""The exported part of a classifier: from pixels of any size to probabilities."""

import copy
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from lightning_modules.export.resizing import Resizing
from lightning_modules.image_classifier import ImageClassifier
from lightning_modules.networks.heads import CosineHead
from lightning_modules.photograph_classifier import in_evaluation_mode


class ExportedClassifier(nn.Module):
    """Resizes, normalises and classifies, as ``predict`` does without test-time augmentation.

    Args:
        model: The classifier; it isn't changed.

    Raises:
        MisconfigurationException: If evaluation does more to an image than to resize it.
    """

    def __init__(self, model: ImageClassifier) -> None:
        super().__init__()
        self.resize = Resizing(resized_to(model.hparams["preprocessing"], model.hparams["image_size"]))
        self.normalize = copy.deepcopy(model.normalize).float()
        self.normalize.channels_last = False
        self.network = (
            copy.deepcopy(in_evaluation_mode(model.network)).cpu().float().to(memory_format=torch.contiguous_format)
        )
        for name, layer in [*self.network.named_modules()]:
            if isinstance(layer, CosineHead):  # whose weights aren't constants of the graph otherwise
                self.network.set_submodule(name, layer.folded())
        self.requires_grad_(False)
        self.temperature = model.temperature if model.settings.calibrated else 1.0

    def forward(self, images: Tensor) -> Tensor:
        """Classify images.

        Args:
            images: RGB pixels, uint8 of shape (batch, height, width, 3), of any size.

        Returns:
            Probabilities, float32 of shape (batch, classes).
        """
        pixels = self.resize(images.permute(0, 3, 1, 2).float()) / 255
        logits: Tensor = self.network(self.normalize(pixels))
        return (logits / self.temperature).softmax(dim=1)


_LINEAR = 1  # cv2.INTER_LINEAR, Albumentations' default


def resized_to(preprocessing: dict[str, Any] | None, image_size: int) -> int:
    """Find the side to which evaluation resizes images.

    Args:
        preprocessing: The evaluation pipeline as a plain Albumentations dict; None resizes to a square.
        image_size: Side of training images in pixels.

    Returns:
        The side in pixels.

    Raises:
        MisconfigurationException: If the pipeline does anything else.
    """
    if preprocessing is None:
        return image_size
    steps = preprocessing["transform"]["transforms"]
    names = [step["__class_fullname__"].rpartition(".")[2] for step in steps]
    last = steps[-1] if steps else {}
    usual = last.get("area_for_downscale") == "image" and last.get("interpolation", _LINEAR) == _LINEAR
    if names != ["Resize"] or last["height"] != last["width"] or not usual:
        raise MisconfigurationException(
            "Only the usual preprocessing of evaluation can be exported, which resizes to a square (linear "
            f"interpolation, area_for_downscale: image); this run has other data.eval_transforms: {', '.join(names)}."
        )
    return int(last["height"])
