"""Builds networks by name and gives them a new head."""

from dataclasses import dataclass
from typing import Any

import torchvision
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from lightning_modules.networks.heads import CosineHead, initialize_head, replace_head
from lightning_modules.networks.pooling import replace_pooling
from runs.suggestions import did_you_mean

TIMM = "timm/"
NETWORK_OPTIONS = ("dropout", "stochastic_depth", "cosine_scale", "gem_power")  # arguments of build_backbone
# trained on pixels from -1 to 1, to which torchvision's builders convert the usual ones (transform_input) with weights
_SHIFTED = ("googlenet", "inception_v3")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Backbone:
    """A network whose head fits the classes, and what is known of its weights.

    Attributes:
        name: Its name, as ``build_backbone`` takes it.
        network: Takes normalised images (batch, 3, height, width), returns logits (batch, classes).
        heads: Dotted names of the layers that make logits; timm's distilled networks have several, and average them.
        mean: Mean of the red, green and blue pixels, in [0, 1], that the network's published weights expect.
        std: Their standard deviation.
        sized: Whether it was built for a size of images, as timm's networks are that depend on it.
    """

    name: str
    network: nn.Module
    heads: tuple[str, ...]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    sized: bool = False


def build_backbone(
    name: str,
    num_classes: int,
    image_size: int,
    dropout: float | None = None,
    stochastic_depth: float | None = None,
    cosine_scale: float | None = None,
    gem_power: float | None = None,
) -> Backbone:
    """Build a network with random weights.

    Args:
        name: A classification model of torchvision (``resnet50``, ``vgg16_bn``, ...) or ``timm/NAME``.
        num_classes: Outputs of the new head.
        image_size: Side of the images in pixels, on which the shape of vision transformers depends.
        dropout: Dropout before the head, in torchvision's ViT and Swin in all blocks; None keeps the network's own.
        stochastic_depth: Probability of leaving out the deepest residual block in training; None keeps the network's.
        cosine_scale: Scale of a ``CosineHead``; None gives a linear one, or a convolution where the network ends in it.
        gem_power: Power of the ``GeneralizedMean`` before the head; None keeps the network's average.

    Returns:
        The network and what goes with it.

    Raises:
        MisconfigurationException: If there is no such network, or it has no dropout or stochastic depth to be set.
    """
    wanted = {"dropout": dropout, "stochastic_depth": stochastic_depth}
    build = _build_timm if name.startswith(TIMM) else _build_torchvision
    try:
        built = build(name, num_classes, image_size, wanted)
    except TypeError as error:  # the network's own complaint about an argument that it doesn't have
        given = " and ".join(f"model.{key}" for key, value in wanted.items() if value is not None)
        if not given:
            raise
        raise MisconfigurationException(f"{given} can't be set for model.backbone {name}: {error}.") from error
    if gem_power is not None:
        replace_pooling(built.network, built.heads, gem_power)
    if cosine_scale is not None:
        for head in built.heads:
            built.network.set_submodule(head, CosineHead.like(built.network.get_submodule(head), cosine_scale))
    return built


def _build_torchvision(name: str, num_classes: int, image_size: int, wanted: dict[str, float | None]) -> Backbone:
    names = list_models(module=torchvision.models)
    if name not in names:
        raise MisconfigurationException(
            f"model.backbone is {name!r}, which torchvision doesn't have.{did_you_mean(name, names)} "
            f"timm's networks are written {TIMM}NAME."
        )
    keys = {"dropout": "dropout", "stochastic_depth": "stochastic_depth_prob"}
    options: dict[str, Any] = {keys[key]: value for key, value in wanted.items() if value is not None}
    try:
        network = get_model(name, weights=None, **torchvision_arguments(name, image_size), **options)
    except (ValueError, AssertionError) as error:
        raise MisconfigurationException(
            f"model.backbone {name} can't be built for data.image_size={image_size}: {str(error).rstrip('.')}."
        ) from error
    dropout = wanted["dropout"]
    if dropout and not any(isinstance(layer, nn.Dropout) and layer.p == dropout for layer in network.modules()):
        rank_zero_warn(f"model.dropout has no effect on model.backbone {name}, which has no dropout.")
    mean, std = published_statistics(name, get_model_weights(name).DEFAULT)
    return Backbone(name, network, (replace_head(network, num_classes),), mean, std)


def published_statistics(name: str, weights: WeightsEnum) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Find what pixels torchvision's published weights expect.

    Args:
        name: The network.
        weights: A set of its weights.

    Returns:
        Mean and standard deviation of the red, green and blue pixels, in [0, 1].
    """
    if name in _SHIFTED:
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    preset = weights.transforms()
    return tuple(preset.mean), tuple(preset.std)


def torchvision_arguments(name: str, image_size: int) -> dict[str, Any]:
    """Find what torchvision has to be told of a network besides the number of its classes.

    Args:
        name: The network.
        image_size: Side of the images in pixels.

    Returns:
        Arguments of ``torchvision.models.get_model``.
    """
    if name in _SHIFTED:
        # the auxiliary heads would make the output in training a tuple
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": image_size}
    return {"input_size": (image_size, image_size)} if name.startswith("maxvit") else {}


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
    sized = True
    try:
        network = timm.create_model(model, pretrained=False, num_classes=num_classes, img_size=image_size, **options)
    except TypeError:  # convolutional networks fit any size and don't take the argument
        network = timm.create_model(model, pretrained=False, num_classes=num_classes, **options)
        sized = False
    published: Any = network.pretrained_cfg
    classifier = published.get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    if not heads:
        raise MisconfigurationException(f"model.backbone is {name}, which has no head to classify with.")
    for head in heads:
        initialize_head(network.get_submodule(head))  # timm's own is as for a training from scratch with 1,000 classes
    return Backbone(
        name,
        network,
        heads,
        tuple(published.get("mean", IMAGENET_MEAN)),
        tuple(published.get("std", IMAGENET_STD)),
        sized,
    )
