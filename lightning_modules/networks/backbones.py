"""Builds networks by name and gives them a new head."""

from dataclasses import dataclass
from typing import Any

import torchvision
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

from runs.suggestions import did_you_mean

TIMM = "timm/"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Backbone:
    """A network whose head fits the classes, and what is known of its weights.

    Attributes:
        name: Its name, as ``build_backbone`` takes it.
        network: Takes normalised images (batch, 3, height, width), returns logits (batch, classes).
        head: Dotted name of the layer that was replaced.
        mean: Mean of the red, green and blue pixels, in [0, 1], that the network's published weights expect.
        std: Their standard deviation.
    """

    name: str
    network: nn.Module
    head: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def build_backbone(
    name: str,
    num_classes: int,
    image_size: int,
    dropout: float | None = None,
    stochastic_depth: float | None = None,
) -> Backbone:
    """Build a network with random weights.

    Args:
        name: A classification model of torchvision (``resnet50``, ``vgg16_bn``, ...) or ``timm/NAME``.
        num_classes: Outputs of the new head.
        image_size: Side of the images in pixels, on which the shape of vision transformers depends.
        dropout: Dropout before the head; None keeps the network's own.
        stochastic_depth: Probability of leaving out the deepest residual block in training; None keeps the network's.

    Returns:
        The network and what goes with it.

    Raises:
        MisconfigurationException: If there is no such network, or it has no dropout or stochastic depth to be set.
    """
    wanted = {"dropout": dropout, "stochastic_depth": stochastic_depth}
    try:
        if name.startswith(TIMM):
            return _build_timm(name, num_classes, image_size, wanted)
        return _build_torchvision(name, num_classes, image_size, wanted)
    except TypeError as error:  # the network's own complaint about an argument that it doesn't have
        given = " and ".join(f"model.{key}" for key, value in wanted.items() if value is not None)
        if not given:
            raise
        raise MisconfigurationException(f"{given} can't be set for model.backbone {name}: {error}.") from error


def _build_torchvision(name: str, num_classes: int, image_size: int, wanted: dict[str, float | None]) -> Backbone:
    names = list_models(module=torchvision.models)
    if name not in names:
        raise MisconfigurationException(
            f"model.backbone is {name!r}, which torchvision doesn't have.{did_you_mean(name, names)} "
            f"timm's networks are written {TIMM}NAME."
        )
    keys = {"dropout": "dropout", "stochastic_depth": "stochastic_depth_prob"}
    options: dict[str, Any] = {keys[key]: value for key, value in wanted.items() if value is not None}
    if name in ("googlenet", "inception_v3"):
        # the auxiliary heads would make the output in training a tuple
        options |= {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        options["image_size"] = image_size
    elif name.startswith("maxvit"):
        options["input_size"] = (image_size, image_size)
    try:
        network = get_model(name, weights=None, **options)
    except (ValueError, AssertionError) as error:
        raise MisconfigurationException(
            f"model.backbone {name} can't be built for data.image_size={image_size}: {str(error).rstrip('.')}."
        ) from error
    published = get_model_weights(name).DEFAULT.transforms()
    head = replace_head(network, num_classes)
    return Backbone(name, network, head, tuple(published.mean), tuple(published.std))


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


def _build_timm(name: str, num_classes: int, image_size: int, wanted: dict[str, float | None]) -> Backbone:
    try:
        import timm
    except ImportError as error:
        raise MisconfigurationException(
            f"model.backbone is {name}, but timm is not installed: pip install -e '.[timm]'."
        ) from error
    model = name.removeprefix(TIMM)
    architecture = model.partition(".")[0]
    if not timm.is_model(architecture):
        raise MisconfigurationException(
            f"model.backbone is {name}, which timm doesn't have.{did_you_mean(architecture, timm.list_models())}"
        )
    keys = {"dropout": "drop_rate", "stochastic_depth": "drop_path_rate"}
    options: dict[str, Any] = {keys[key]: value for key, value in wanted.items() if value is not None}
    try:
        network = timm.create_model(model, pretrained=False, num_classes=num_classes, img_size=image_size, **options)
    except TypeError:  # convolutional networks fit any size and don't take the argument
        network = timm.create_model(model, pretrained=False, num_classes=num_classes, **options)
    published: Any = network.pretrained_cfg
    head = published.get("classifier", "")
    return Backbone(
        name,
        network,
        head if isinstance(head, str) else head[0],
        tuple(published.get("mean", IMAGENET_MEAN)),
        tuple(published.get("std", IMAGENET_STD)),
    )
