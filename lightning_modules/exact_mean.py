"""A mean that doesn't depend on the order of its terms."""

import torch
from torch import Tensor
from torchmetrics import Metric

_UNIT = 1e-6


class ExactMean(Metric):
    """Averages values over batches and devices, in whole millionths.

    Sums of floats depend on their order, and with it on the number of devices, in the last digits; sums of integers
    don't.
    """

    total: Tensor
    undefined: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("undefined", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """Add values.

        Args:
            values: Floats of shape (n,).
        """
        self.total += (values.nan_to_num() / _UNIT).round().long().sum()
        self.undefined += values.isnan().sum()
        self.count += values.numel()

    def compute(self) -> Tensor:
        """Compute the mean.

        Returns:
            float32, a scalar; NaN if a value was, 0 if there are none.
        """
        mean = (self.total / self.count.clamp(min=1)).float() * _UNIT
        return mean if not self.undefined else torch.full_like(mean, torch.nan)
