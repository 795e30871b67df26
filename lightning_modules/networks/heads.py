"""Gives networks new heads, whose first loss is that of guessing."""

import math
from typing import Self

from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

_STD, _INPUTS = 0.01, 512
_SHARE_OF_CONVOLUTIONS = 0.6  # SqueezeNet's features aren't normalised, and large with published weights


class CosineHead(nn.Linear):
    """A linear layer whose logits are scaled cosines between features and the weights of a class.

    Neither can make logits larger by its length, so that the scale says how sure the network can become (Wang et al.,
    NormFace, 2017).

    Args:
        in_features: Number of features.
        out_features: Number of classes.
        scale: What cosines are multiplied by.
    """

    def __init__(self, in_features: int, out_features: int, scale: float) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.scale = scale

    @classmethod
    def like(cls, head: nn.Module, scale: float) -> Self:
        """Make one of the same size as another head.

        Args:
            head: A linear layer.
            scale: What cosines are multiplied by.

        Returns:
            The head, with weights as ``initialize_head`` draws them.

        Raises:
            MisconfigurationException: If the other head isn't linear.
        """
        if not isinstance(head, nn.Linear):
            raise MisconfigurationException(
                f"model.cosine_scale needs a network whose head is linear; this one's is {type(head).__name__}: set it "
                "to null."
            )
        made = cls(head.in_features, head.out_features, scale)
        initialize_head(made)
        return made

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits, (batch, classes), from features, (batch, features)."""
        return self.scale * linear(normalize(features, dim=-1), normalize(self.weight, dim=-1))

    def folded(self) -> nn.Sequential:
        """Compute the same with weights that are normalised and scaled already, as in a file that isn't trained on.

        Returns:
            Features made as long as 1, and a linear layer of constant weights.
        """
        layer = nn.Linear(self.in_features, self.out_features, bias=False)
        layer.weight.data = self.scale * normalize(self.weight.detach(), dim=-1)
        return nn.Sequential(UnitLength(), layer)


class UnitLength(nn.Module):
    """Divides features by their Euclidean length."""

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features, (batch, features)."""
        return normalize(features, dim=-1)


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
        head: nn.Module
        if isinstance(layer, nn.Linear):
            head = nn.Linear(layer.in_features, num_classes, bias=layer.bias is not None)
        elif isinstance(layer, nn.Conv2d):  # SqueezeNet ends in a convolution
            head = nn.Conv2d(layer.in_channels, num_classes, layer.kernel_size)  # type: ignore[arg-type]
        else:
            continue
        initialize_head(head)
        network.set_submodule(name, head)
        return name
    raise MisconfigurationException(f"{type(network).__name__} has no layer that could be replaced by a new head.")


def initialize_head(head: nn.Module) -> None:
    """Draw a head's weights so small that all classes are about equally probable.

    The first loss is then about ln(classes), for any number of classes. Weights of zero would make it exact, but pass
    no gradient to the layers below in the first step. The standard deviation is 0.01, for convolutions 0.006, and falls
    with the square root of the number of inputs beyond 512, so that logits of wider layers spread no further.

    Args:
        head: A linear layer or a convolution; changed in place.

    Raises:
        MisconfigurationException: If it is another kind of layer.
    """
    if not isinstance(head, nn.Linear | nn.Conv2d):
        raise MisconfigurationException(f"A head has to be a linear layer or a convolution, not {type(head).__name__}.")
    std = _STD * min(1.0, math.sqrt(_INPUTS / head.weight[0].numel()))
    if isinstance(head, nn.Linear):
        nn.init.trunc_normal_(head.weight, std=std)
    else:
        nn.init.normal_(head.weight, std=_SHARE_OF_CONVOLUTIONS * std)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
