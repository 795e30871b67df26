"""Builds networks by name and gives them a new head."""

from dataclasses import dataclass
from typing import Any

import torchvision
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

from configs.suggestions import did_you_mean

TIMM = "timm/"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Backbone:
    """A network whose head fits the classes, and what is known of its weights.

    Attributes:
        network: Takes normalised images (batch, 3, height, width), returns logits (batch, classes).
        head: Dotted name of the layer that was replaced.
        mean: Mean of the red, green and blue pixels, in [0, 1], that the network's published weights expect.
        std: Their standard deviation.
    """

    network: nn.Module
    head: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def build_backbone(name: str, num_classes: int, image_size: int) -> Backbone:
    """Build a network with random weights.

    Args:
        name: A classification model of torchvision (``resnet50``, ``vgg16_bn``, ...) or ``timm/NAME``.
        num_classes: Outputs of the new head.
        image_size: Side of the images in pixels, on which the shape of vision transformers depends.

    Returns:
        The network and what goes with it.

    Raises:
        MisconfigurationException: If there is no such network.
    """
    if name.startswith(TIMM):
        return _build_timm(name.removeprefix(TIMM), num_classes, image_size)
    names = list_models(module=torchvision.models)
    if name not in names:
        raise MisconfigurationException(
            f"model.backbone is {name!r}, which torchvision doesn't have.{did_you_mean(name, names)} "
            f"timm's networks are written {TIMM}NAME."
        )
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # the auxiliary heads would make the output in training a tuple
        options = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        options = {"image_size": image_size}
    elif name.startswith("maxvit"):
        options = {"input_size": (image_size, image_size)}
    try:
        network = get_model(name, weights=None, **options)
    except (ValueError, AssertionError) as error:
        raise MisconfigurationException(
            f"model.backbone {name} can't be built for data.image_size={image_size}: {str(error).rstrip('.')}."
        ) from error
    published = get_model_weights(name).DEFAULT.transforms()
    head = replace_head(network, num_classes)
    return Backbone(network, head, tuple(published.mean), tuple(published.std))


def replace_head(network: nn.Module, num_classes: int) -> str:
    """Exchange the last layer, the one that makes logits.

    Args:
        network: A torchvision classification network; changed in place.
        num_classes: Outputs of the new layer.

    Returns:
        The dotted name of the layer.

    Raises:
        MisconfigurationException: If the last layer is neither linear nor a convolution.
    """
    layers: list[tuple[str, nn.Module]] = [*network.named_modules()]
    for name, layer in reversed(layers):
        parent = network.get_submodule(name.rpartition(".")[0])
        attribute = name.rpartition(".")[2]
        if isinstance(layer, nn.Linear):
            head = nn.Linear(layer.in_features, num_classes, bias=layer.bias is not None)
            nn.init.trunc_normal_(head.weight, std=0.01)
            if head.bias is not None:
                nn.init.zeros_(head.bias)
            setattr(parent, attribute, head)
            return name
        if isinstance(layer, nn.Conv2d):  # SqueezeNet ends in a convolution
            convolution = nn.Conv2d(layer.in_channels, num_classes, layer.kernel_size)  # type: ignore[arg-type]
            nn.init.normal_(convolution.weight, std=0.01)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
            setattr(parent, attribute, convolution)
            return name
    raise MisconfigurationException(f"{type(network).__name__} has no layer that could be replaced by a new head.")


def _build_timm(name: str, num_classes: int, image_size: int) -> Backbone:
    try:
        import timm
    except ImportError as error:
        raise MisconfigurationException(
            f"model.backbone is {TIMM}{name}, but timm is not installed: pip install -e '.[timm]'."
        ) from error
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise MisconfigurationException(
            f"model.backbone is {TIMM}{name}, which timm doesn't have.{did_you_mean(architecture, timm.list_models())}"
        )
    try:
        network = timm.create_model(name, pretrained=False, num_classes=num_classes, img_size=image_size)
    except TypeError:  # convolutional networks fit any size and don't take the argument
        network = timm.create_model(name, pretrained=False, num_classes=num_classes)
    published: Any = network.pretrained_cfg
    head = published.get("classifier", "")
    return Backbone(
        network,
        head if isinstance(head, str) else head[0],
        tuple(published.get("mean", IMAGENET_MEAN)),
        tuple(published.get("std", IMAGENET_STD)),
    )
