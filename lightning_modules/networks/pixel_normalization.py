"""The network's input layer."""

from collections.abc import Sequence

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

_EXPECTED = "give uint8 from 0 to 255, or floats from 0 to 1 (as ToTensor makes)"
_OVERSHOOT = 0.25  # of bicubic and Lanczos interpolation


class PixelNormalization(nn.Module):
    """Turns pixels into what the network's weights expect.

    It is part of the network, so a checkpoint or an exported model takes raw pixels, and bytes instead of floats
    travel from the loaders to the device.

    Args:
        mean: Mean of the red, green and blue pixels in [0, 1].
        std: Their standard deviation.
        channels_last: Return images in the channels-last memory format; else in the usual one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], channels_last: bool = True) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.channels_last = channels_last
        self.checked = False

    def forward(self, pixels: Tensor) -> Tensor:
        """Bring pixels to [0, 1], subtract the mean and divide by the standard deviation.

        The type says what the numbers mean, as in torchvision. Floats are looked at only to refuse other ones: on the
        CPU each time, on a device that would have to wait for the answer in the first batch.

        Args:
            pixels: uint8 from 0 to 255 or floats from 0 to 1, of shape (batch, 3, height, width).

        Returns:
            Floats of the same shape.

        Raises:
            MisconfigurationException: If they are of another type, or floats of another range.
        """
        if pixels.dtype == torch.uint8:
            scaled = pixels.to(self.mean.dtype) / 255
        elif pixels.is_floating_point():
            self._check_range(pixels)
            scaled = pixels.to(self.mean.dtype)
        else:
            raise MisconfigurationException(f"Images are {pixels.dtype}: {_EXPECTED}.")
        normalized = (scaled - self.mean) / self.std
        return normalized.contiguous(
            memory_format=torch.channels_last if self.channels_last else torch.contiguous_format
        )

    def _check_range(self, pixels: Tensor) -> None:
        if torch.compiler.is_compiling() or not pixels.numel() or (self.checked and pixels.device.type != "cpu"):
            return
        low, high = (float(bound) for bound in torch.aminmax(pixels.detach()))
        if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):
            raise MisconfigurationException(
                f"Images are floats from {low:.3g} to {high:.3g}: {_EXPECTED}, and leave Normalize out, since the "
                "network normalises."
            )
        self.checked = True
