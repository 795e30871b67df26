"""Fits the temperature that calibrates probabilities."""

import math

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_modules.prediction.certainty import CERTAINTIES, Fitted, best_norm_order, certainty
from lightning_modules.scoring.confusion_counts import NO_LABEL

_BOUNDS = (0.1, 10.0)
_VALUES = 2_000_000  # logits that are looked at: a tenth of a second on one core


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Find the temperature T at which softmax(logits / T) has the least negative log-likelihood (Guo et al., 2017).

    The likelihood is concave in 1 / T, so that the root of its derivative is looked for.

    Args:
        logits: Floats of shape (samples, classes).
        labels: True classes, int64 of shape (samples,).

    Returns:
        The temperature, between 0.1 and 10, rounded to four digits, which devices agree on whatever the order of their
        samples. 1 if all answers are right, or there are none: then nothing tells how sure to be.
    """
    if not len(labels) or bool((logits.argmax(dim=1) == labels).all()):
        return 1.0
    scores = logits.double()
    scores = scores - scores.max(dim=1, keepdim=True).values
    given = scores.gather(1, labels[:, None])[:, 0]

    def slope(log_temperature: float) -> float:
        probabilities = (scores * math.exp(-log_temperature)).softmax(dim=1)
        return float(((probabilities * scores).sum(dim=1) - given).mean())

    low, high = np.log(_BOUNDS)
    if slope(low) <= 0:
        return _BOUNDS[0]
    if slope(high) >= 0:
        return _BOUNDS[1]
    return float(f"{math.exp(brentq(slope, low, high, xtol=1e-7)):.4g}")


class ValidationLogits(Metric):
    """Keeps the logits of a validation for ``fit_temperature``; of very many, those of evenly spaced samples.

    Args:
        num_classes: Number of classes.
    """

    logits: list[Tensor]
    labels: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.limit = max(1, _VALUES // num_classes)
        self.step = 1
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def space(self, samples: int) -> None:
        """Choose which samples to keep.

        Args:
            samples: How many there will be, over all devices.
        """
        self.step = max(1, -(-samples // self.limit))

    def update(self, logits: Tensor, labels: Tensor, position: int) -> None:
        """Add a batch.

        Args:
            logits: Floats of shape (batch, classes).
            labels: True classes, int64 of shape (batch,); samples with -1 don't count.
            position: How many samples this device has had before.
        """
        first = -position % self.step
        self.logits.append(logits[first :: self.step].float().clone())  # a view would keep the whole batch in memory
        self.labels.append(labels[first :: self.step].clone())

    def compute(self) -> Fitted:
        """Fit the temperature to the samples of all devices.

        Returns:
            The temperature, and how sure the answers are; what stands for an unknown one, if there are no labels or a
            logit isn't finite.
        """
        labels = dim_zero_cat(self.labels).cpu() if len(self.labels) else torch.empty(0, dtype=torch.int64)
        known = labels != NO_LABEL
        logits = dim_zero_cat(self.logits).cpu()[known].double() if bool(known.any()) else torch.empty(0)
        if not len(logits) or not bool(logits.isfinite().all()):  # the loss of the validation tells of the latter
            return Fitted()
        labels = labels[known]
        temperature, order = fit_temperature(logits, labels), best_norm_order(logits, labels)
        probabilities = (logits / temperature).softmax(dim=1)
        shares = torch.linspace(0, 1, 101, dtype=torch.float64)
        percentiles: dict[str, list[float]] = {
            kind: certainty(kind, probabilities, logits, order).quantile(shares).tolist() for kind in CERTAINTIES
        }
        return Fitted(temperature, percentiles, order)
