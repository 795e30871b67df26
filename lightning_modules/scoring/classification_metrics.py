"""Accuracy, precision, recall and F1, all from one confusion matrix."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_modules.scoring.confusion_counts import NO_LABEL, ConfusionCounts
from lightning_modules.scoring.exact_mean import ExactMean
from lightning_modules.scoring.most_probable import most_probable

_TOP = 5


def metrics_from_confusion(matrix: Tensor) -> dict[str, Tensor]:
    """Derive the usual metrics.

    Precision, recall and F1 are macro averages: the mean over the classes of tp / (tp + fp), tp / (tp + fn) and
    2 tp / (2 tp + fp + fn). A class that is neither predicted nor present doesn't count; one with only a zero
    denominator counts as 0. This is what scikit-learn and torchmetrics do.

    Args:
        matrix: Counts, int64 of shape (classes, classes), sparse or dense; rows are true classes, columns predicted
            ones.

    Returns:
        ``accuracy`` (the share of all samples, not a mean over classes), ``precision``, ``recall`` and ``f1``, float32
        scalars between 0 and 1; and ``classes``, over how many classes the averages are.
    """
    counted = matrix.cpu().to_sparse().coalesce()  # Apple's GPUs have no float64
    (rows, columns), counts = counted.indices(), counted.values()
    hit = rows == columns
    hits, true, predicted = (
        torch.zeros(len(matrix), dtype=torch.int64).index_add_(0, index, values).double()
        for index, values in ((rows[hit], counts[hit]), (rows, counts), (columns, counts))
    )
    occurring = (true + predicted) > 0
    scores = {
        "accuracy": hits.sum() / true.sum().clamp(min=1),
        "precision": (hits / predicted.clamp(min=1))[occurring].mean(),
        "recall": (hits / true.clamp(min=1))[occurring].mean(),
        "f1": (2 * hits / (true + predicted).clamp(min=1))[occurring].mean(),
        "classes": occurring.sum(),
    }
    return {name: score.nan_to_num().float() for name, score in scores.items()}


class ClassificationMetrics(nn.Module):
    """Collects predictions batch by batch, on any number of devices, and computes the metrics once at the end.

    A batch takes time and memory in proportion to its probabilities, and what is kept grows with the samples alone.
    Nothing waits for a GPU.

    Args:
        num_classes: Number of classes, at least 2.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.confusion = ConfusionCounts(num_classes)
        # of five classes or fewer it would be 1, whatever the network predicts
        self.top5 = ExactMean() if num_classes > _TOP else None
        self.loss = ExactMean()

    @property
    def names(self) -> list[str]:
        """Names of the metrics."""
        top5 = [] if self.top5 is None else ["top5_accuracy"]
        return ["loss", "accuracy", "precision", "recall", "f1", "classes", *top5]

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            probabilities: Probabilities of the classes, floats of shape (batch, classes).
            labels: True classes, int64 of shape (batch,); samples with -1, whose image couldn't be read, don't count.
        """
        scores = probabilities.float()
        counted = labels != NO_LABEL
        _, best = most_probable(scores, _TOP)
        self.confusion.update(best[:, 0], labels)
        if self.top5 is not None:
            self.top5.update((best == labels[:, None]).any(dim=1).float(), counted)
        given = scores.gather(1, labels.clamp(min=0)[:, None])[:, 0]
        self.loss.update(-given.clamp(min=torch.finfo(torch.float32).tiny).log(), counted)

    def compute(self) -> dict[str, Tensor]:
        """Compute the metrics of all batches of all devices.

        Returns:
            ``loss`` (mean cross-entropy in nats), ``accuracy``, ``precision``, ``recall``, ``f1``, ``classes`` and, of
            more than five classes, ``top5_accuracy``, float32 scalars.
        """
        scores = {"loss": self.loss.compute(), **metrics_from_confusion(self.confusion.compute())}
        return scores if self.top5 is None else {**scores, "top5_accuracy": self.top5.compute()}

    def reset(self) -> None:
        """Forget all batches."""
        for metric in self.children():
            if isinstance(metric, Metric):
                metric.reset()
