"""Resizes images of any size within a network, to the pixels that evaluation resizes them to."""

import torch
from torch import Tensor, nn

_TIE = 2e-4
_ONE = 2048.0  # OpenCV's weights are whole numbers of this fraction


class Resizing(nn.Module):
    """Squeezes images to a square as OpenCV does it: averages over areas to shrink, interpolates to enlarge.

    Albumentations' ``Resize`` with ``area_for_downscale="image"`` takes OpenCV's ``INTER_AREA`` if one side shrinks,
    else ``INTER_LINEAR``. If both sides shrink, that is a product with a matrix for the rows and one for the columns;
    else it interpolates between two pixels, in whole numbers. Weights and positions follow from the sizes, so that the
    exported graph takes any size. The result is OpenCV's but for a few pixels in a thousand that are rounded otherwise.

    Args:
        size: Side of the square in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Resize images.

        Args:
            images: Whole numbers from 0 to 255, float32 of shape (batch, channels, height, width).

        Returns:
            Whole numbers from 0 to 255, float32 of shape (batch, channels, size, size).
        """
        height, width = (torch.scalar_tensor(side, dtype=torch.float64) for side in images.shape[2:])
        shrinks = (height >= self.size) & (width >= self.size)
        return torch.where(shrinks, self._averaged(images, height, width), self._interpolated(images, height, width))

    def _averaged(self, images: Tensor, height: Tensor, width: Tensor) -> Tensor:
        rows, columns = self._areas(images.shape[2], height), self._areas(images.shape[3], width)
        resized = rows.to(images.dtype) @ (images @ columns.to(images.dtype).T)
        half = resized.floor() + 0.5
        exact = torch.where((resized - half).abs() < _TIE, half, resized)  # a tie, but for the error of floats
        return exact.round().clamp(0, 255)

    def _areas(self, side: int, length: Tensor) -> Tensor:
        """Compute which share of each pixel of the result lies in each pixel along a side, (size, side)."""
        target = torch.arange(self.size, dtype=torch.float64)[:, None]
        pixel = torch.arange(side, dtype=torch.float64)[None]
        step = length / self.size
        begin, end = torch.maximum(target * step, pixel), torch.minimum((target + 1) * step, pixel + 1)
        return (end - begin).clamp(min=0) / step

    def _interpolated(self, images: Tensor, height: Tensor, width: Tensor) -> Tensor:
        one_shrinks = (height > self.size) | (width > self.size)
        top, bottom, above, below = self._neighbours(height, one_shrinks)
        left, right, before, after = self._neighbours(width, one_shrinks)
        columns = images[..., left] * before.to(images.dtype) + images[..., right] * after.to(images.dtype)
        columns = (columns / 16).floor()
        upper, lower = (columns[..., rows, :].double() for rows in (top, bottom))
        parts = (upper * above[:, None] / 65536).floor() + (lower * below[:, None] / 65536).floor()
        return ((parts + 2) / 4).floor().clamp(0, 255).to(images.dtype)

    def _neighbours(self, length: Tensor, one_shrinks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find two pixels for each pixel of the result, int64 of shape (size,), and their weights, float64."""
        target = torch.arange(self.size, dtype=torch.float64)
        # two tensors: PyTorch divides a number by a tensor by its reciprocal, which rounds twice
        zoom = torch.scalar_tensor(self.size, dtype=torch.float64) / length
        place = ((target + 0.5) / zoom - 0.5).float()  # OpenCV rounds here too
        first = (target * (1 / zoom)).floor()
        part = ((target + 1) - (first + 1) * zoom).float()
        part = torch.where(part > 0, part - part.floor(), 0.0)
        pixel = torch.where(one_shrinks, first, place.floor().double())
        share = torch.where(one_shrinks, part, place - place.floor())
        share = torch.where((pixel < 0) | (pixel >= length - 1), 0.0, share)
        pixel = pixel.clamp(min=0).minimum(length - 1)
        following = (pixel + 1).minimum(length - 1)
        weights = ((1 - share) * _ONE).round(), (share * _ONE).round()
        return pixel.long(), following.long(), weights[0].double(), weights[1].double()
