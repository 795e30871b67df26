"""Resizes images of any size within a network, to the pixels that evaluation resizes them to."""

import torch
from torch import Tensor, nn

_TIE = 2e-4


class Resizing(nn.Module):
    """Squeezes images to a square as OpenCV does it: averages over areas to shrink, interpolates to enlarge.

    Albumentations' ``Resize`` with ``area_for_downscale="image"`` takes OpenCV's ``INTER_AREA`` if one side shrinks,
    else ``INTER_LINEAR``. Each is a product with a matrix for the rows and one for the columns, whose weights follow
    from the sizes; so the exported graph takes any size. Areas are equal to OpenCV's but for a few ties in rounding;
    what is enlarged differs by one level at most, since OpenCV rounds the weights to 11 bits.

    Args:
        size: Side of the square in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Resize images.

        Args:
            images: Floats from 0 to 255 of shape (batch, channels, height, width).

        Returns:
            Whole numbers from 0 to 255, floats of shape (batch, channels, size, size).
        """
        height, width = images.shape[2:]
        rows, columns = self._weights(height, width), self._weights(width, height)
        resized = rows.to(images.dtype) @ (images @ columns.to(images.dtype).T)
        half = resized.floor() + 0.5
        exact = torch.where((resized - half).abs() < _TIE, half, resized)  # a tie, but for the error of floats
        return exact.round().clamp(0, 255)

    def _weights(self, side: int, other: int) -> Tensor:
        """Compute the weights of all pixels along a side for each pixel of the result, (size, side), float64."""
        target = torch.arange(self.size, dtype=torch.float64)[:, None]
        pixel = torch.arange(side, dtype=torch.float64)[None]
        # as a tensor, so that the exported graph computes it from the size that it is given
        sides = torch.stack([torch.scalar_tensor(side), torch.scalar_tensor(other)]).double()
        step = sides[0] / self.size
        begin, end = torch.maximum(target * step, pixel), torch.minimum((target + 1) * step, pixel + 1)
        area = (end - begin).clamp(min=0) / step
        centre = ((target + 0.5) * step - 0.5).clamp(min=0).minimum(sides[0] - 1)
        linear = (1 - (centre - pixel).abs()).clamp(min=0)
        first = (target * step).floor()
        part = target + 1 - (first + 1) / step
        second = torch.where(part > 0, part - part.floor(), 0.0)
        last = sides[0] - 1
        mixed = (1 - second) * (pixel == first) + second * (pixel == (first + 1).minimum(last))
        shrinks = (sides > self.size).any()
        grows = (sides < self.size).any()
        return torch.where(shrinks, torch.where(grows, mixed, area), linear)
