"""Fits the temperature that makes probabilities as high as the share of right answers."""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_modules.confusion_counts import NO_LABEL

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


class Fitted(NamedTuple):
    """What is learned from the logits of a validation.

    Attributes:
        temperature: What ``fit_temperature`` has found.
        confidences: Percentiles, the 0th to the 100th, of the probabilities of the first answers; nothing without
            samples.
    """

    temperature: float
    confidences: list[float]


def threshold_of(confidences: list[float], coverage: float) -> float:
    """Find the probability that a share of the validation pictures reaches.

    Args:
        confidences: Percentiles, as in ``Fitted``.
        coverage: The share, above 0 and at most 1.

    Returns:
        The probability, interpolated between percentiles; 0 for all pictures.
    """
    return 0.0 if coverage >= 1 else float(np.interp(1 - coverage, np.linspace(0, 1, len(confidences)), confidences))


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
        self.logits.append(logits[first :: self.step].float())
        self.labels.append(labels[first :: self.step])

    def compute(self) -> Fitted:
        """Fit the temperature to the samples of all devices.

        Returns:
            The temperature, and how sure the answers are with it.
        """
        labels = dim_zero_cat(self.labels).cpu() if len(self.labels) else torch.empty(0, dtype=torch.int64)
        known = labels != NO_LABEL
        if not bool(known.any()):
            return Fitted(1.0, [])
        logits = dim_zero_cat(self.logits).cpu()[known]
        temperature = fit_temperature(logits, labels[known])
        sure = (logits.double() / temperature).softmax(dim=1).amax(dim=1)
        return Fitted(temperature, sure.quantile(torch.linspace(0, 1, 101, dtype=torch.float64)).tolist())
