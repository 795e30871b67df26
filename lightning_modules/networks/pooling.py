"""Gives networks a generalised mean in the place of the average over an image."""

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

_LEAST = 1e-6  # where a channel is 0 everywhere, the root would have no slope


class GeneralizedMean(nn.Module):
    """The mean of a power over all places, and its root: ``mean(x ** power) ** (1 / power)``.

    At 1 it is the average, towards infinity the maximum; 3 is usual (GeM, Radenović et al., Fine-tuning CNN Image
    Retrieval with No Human Annotation, 2018). It is made for rectified features, as of ResNets and EfficientNets:
    values below 0 count as 0.

    Args:
        power: The power, above 0.
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, features: Tensor) -> Tensor:
        """Pool features, (batch, channels, height, width), to (batch, channels, 1, 1)."""
        positive = features.clamp(min=_LEAST).to(torch.promote_types(features.dtype, torch.float32))
        largest = positive.amax(dim=(2, 3), keepdim=True).detach()  # of which powers neither overflow nor vanish
        shares = (positive / largest).pow(self.power).mean(dim=(2, 3), keepdim=True)
        return (largest * shares.pow(1 / self.power)).to(features.dtype)

    def extra_repr(self) -> str:
        """Show the power."""
        return f"power={self.power:g}"


def replace_pooling(network: nn.Module, heads: tuple[str, ...], power: float) -> None:
    """Exchange the average over the whole image before the head.

    Args:
        network: A network; changed in place.
        heads: Dotted names of its heads.
        power: The power of the ``GeneralizedMean``.

    Raises:
        MisconfigurationException: If no layer of its own averages before the head.
    """
    layers = dict(network.named_modules())
    inside = tuple(f"{name}." for name, layer in layers.items() if isinstance(layer, SqueezeExcitation))
    names = [*layers]
    before_head = names[: min(names.index(head) for head in heads)]
    pools = [
        name
        for name in before_head
        if isinstance(layer := layers[name], nn.AdaptiveAvgPool2d)
        and layer.output_size in (1, (1, 1))
        and not name.startswith(inside)
    ]
    if not pools:
        raise MisconfigurationException(
            f"model.gem_power needs a network that averages features over the image before a linear head, such as a "
            f"ResNet or an EfficientNet; {type(network).__name__} has no such layer."
        )
    network.set_submodule(pools[-1], GeneralizedMean(power))
