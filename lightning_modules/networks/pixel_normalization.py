"""The network's input layer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PixelNormalization(nn.Module):
    """Turns pixels into what the network's weights expect.

    It is part of the network, so a checkpoint or an exported model takes raw pixels, and bytes instead of floats
    travel from the loaders to the device.

    Args:
        mean: Mean of the red, green and blue pixels in [0, 1].
        std: Their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale to [0, 1], subtract the mean and divide by the standard deviation.

        Args:
            pixels: uint8 (or floats in [0, 255]) of shape (batch, 3, height, width).

        Returns:
            Floats of the same shape, in the channels-last memory format.
        """
        scaled = pixels.to(self.mean.dtype) / 255
        return ((scaled - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
