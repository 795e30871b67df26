"""A mean that doesn't depend on the order of its terms."""

import torch
from torch import Tensor
from torchmetrics import Metric

_UNITS = 1_000_000


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

    def update(self, values: Tensor, counted: Tensor) -> None:
        """Add values.

        Args:
            values: Floats of shape (n,).
            counted: Which of them count, bool of shape (n,); to choose them by it would wait for a GPU.
        """
        millionths = (values.nan_to_num() * _UNITS).round().long()
        self.total += torch.where(counted, millionths, 0).sum()
        self.undefined += (values.isnan() & counted).sum()
        self.count += counted.sum()

    def compute(self) -> Tensor:
        """Compute the mean.

        Returns:
            float32, a scalar, on the CPU; NaN if a value was, 0 if there are none.
        """
        if self.undefined:
            return torch.tensor(torch.nan)
        total, count = self.total.cpu().double(), self.count.cpu().clamp(min=1)  # Apple's GPUs have no float64
        return (total / count / _UNITS).float()
