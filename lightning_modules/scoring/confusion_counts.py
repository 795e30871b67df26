"""Counts predicted by true classes, in memory that doesn't grow with the square of the classes."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

NO_LABEL = -1


class ConfusionCounts(Metric):
    """A confusion matrix of any number of classes: keeps eight bytes a sample, and counts once at the end.

    Classes squared are 800 MB for 10,000 of them. A batch is neither counted nor waited for, so that a GPU is never
    idle.

    Args:
        num_classes: Number of classes.
    """

    samples: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.set_dtype(torch.int64)  # torchmetrics takes it for what a device sends that has had no sample
        self.num_classes = num_classes
        self.add_state("samples", [], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            predicted: Predicted classes, int64 of shape (batch,).
            labels: True classes, int64 of shape (batch,); samples with -1 don't count.
        """
        cells = labels * self.num_classes + predicted
        self.samples.append(torch.where(labels == NO_LABEL, NO_LABEL, cells))

    def compute(self) -> Tensor:
        """Count the samples of all batches of all devices.

        Returns:
            Counts, int64 of shape (classes, classes), sparse (COO, coalesced), on the CPU; rows are true classes,
            columns predicted ones.
        """
        cells = dim_zero_cat(self.samples).cpu() if len(self.samples) else torch.empty(0, dtype=torch.int64)
        cells = cells[cells != NO_LABEL]
        indices = torch.stack([cells // self.num_classes, cells % self.num_classes])
        shape = (self.num_classes, self.num_classes)
        found = torch.sparse_coo_tensor(indices, torch.ones_like(cells), shape, check_invariants=True)
        return found.coalesce()
