"""The certainty of answers, by probability or by logits, and the threshold for ``unknown``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

Certainty: TypeAlias = Literal["probability", "max_logit", "normalized_logit"]
CERTAINTIES: tuple[Certainty, ...] = ("probability", "max_logit", "normalized_logit")
LOGIT_SCORES = CERTAINTIES[1:]
_ORDERS = range(2, 11)


class Fitted(NamedTuple):
    """Statistics of the logits of a validation.

    Attributes:
        temperature: What logits are divided by.
        percentiles: The 0th to the 100th percentile of each kind of certainty; nothing without samples.
        norm_order: The order p of the norm in ``normalized_logit``.
    """

    temperature: float = 1.0
    percentiles: Mapping[str, list[float]] = {}
    norm_order: int = 2

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values by name, for a checkpoint."""
        return {
            "temperature": self.temperature,
            "percentiles": dict(self.percentiles),
            "norm_order": self.norm_order,
        }

    def uncalibrated(self) -> Self:
        """Leave the temperature out, and what was found of probabilities with it."""
        if self.temperature == 1:
            return self
        kept = {kind: values for kind, values in self.percentiles.items() if kind != "probability"}
        return type(self)(1.0, kept, self.norm_order)

    @classmethod
    def from_checkpoint(cls, stored: dict[str, Any]) -> Self:
        """Read what a checkpoint keeps.

        Args:
            stored: What ``as_dict`` returned, or what earlier versions kept; perhaps nothing.

        Returns:
            What was fitted.
        """
        known = {key: stored[key] for key in cls().as_dict() if key in stored}
        if stored.get("confidences"):  # of checkpoints from before there were other scores
            known["percentiles"] = {"probability": stored["confidences"]}
        return cls(**known)


def certainty(kind: Certainty, probabilities: Tensor, logits: Tensor, norm_order: int) -> Tensor:
    """Compute how sure answers are.

    The logits rank better than the probability where labels were smoothed or mixed (Xia et al., arXiv 2403.14715), and
    where pictures show none of the classes; normalised, they are ``max(z - mean) / norm(z - mean, p)`` (Cattelan and
    Silva, How to Fix a Broken Confidence Estimator, 2024). Of two classes the latter is always the same.

    Args:
        kind: The kind.
        probabilities: Floats of shape (samples, classes).
        logits: Those of the plain images, of the same shape.
        norm_order: The order of the norm.

    Returns:
        Floats of shape (samples,), higher where the classifier is more sure.
    """
    if kind == "probability":
        return probabilities.amax(dim=1)
    if kind == "max_logit":
        return logits.amax(dim=1)
    centred = logits - logits.mean(dim=1, keepdim=True)
    norms: Tensor = torch.linalg.vector_norm(centred, norm_order, dim=1)
    return centred.amax(dim=1) / norms.clamp(min=torch.finfo(norms.dtype).tiny)


def best_norm_order(logits: Tensor, labels: Tensor) -> int:
    """Choose the order by which the normalised logit ranks right answers before wrong ones most cleanly.

    Args:
        logits: Floats of shape (samples, classes), at least one.
        labels: True classes, int64 of shape (samples,).

    Returns:
        The order, from 2 to 10, of the smallest area under the risk-coverage curve.
    """
    wrong = (logits.argmax(dim=1) != labels).double()
    answered = torch.arange(1, len(labels) + 1, dtype=torch.float64)

    def area(order: int) -> float:
        ranked = wrong[certainty("normalized_logit", logits, logits, order).argsort(descending=True, stable=True)]
        return round(float((ranked.cumsum(0) / answered).mean()), 9)

    return min(_ORDERS, key=area)


def threshold_of(percentiles: Sequence[float], coverage: float) -> float:
    """Find the certainty that a share of the validation pictures reaches.

    Args:
        percentiles: The 0th to the 100th.
        coverage: The share, above 0 and at most 1.

    Returns:
        The certainty, interpolated between percentiles; minus infinity for all pictures.
    """
    if coverage >= 1:
        return -math.inf
    return float(np.interp(1 - coverage, np.linspace(0, 1, len(percentiles)), percentiles))


class AnswerRule(NamedTuple):
    """When to answer ``unknown``.

    Attributes:
        score: The kind of certainty.
        min_confidence: Below this probability.
        coverage: Below the certainty that this share of the validation images reached.
        prefix: What stands before these names where they are options.
    """

    score: Certainty = "probability"
    min_confidence: float | None = None
    coverage: float | None = None
    prefix: str = "predictions."

    @property
    def always_answers(self) -> bool:
        """Whether no answer is ever withheld."""
        return self.min_confidence is None and self.coverage is None

    def check(self) -> None:
        """Refuse invalid values.

        Raises:
            MisconfigurationException: If a share is out of range, or the options exclude each other.
        """
        for name, share in (("min_confidence", self.min_confidence), ("coverage", self.coverage)):
            if share is not None and not 0 < share <= 1:
                raise MisconfigurationException(f"{self.prefix}{name} is {share}: it has to be above 0 and at most 1.")
        if self.min_confidence is not None and self.coverage is not None:
            raise MisconfigurationException(
                f"{self.prefix}min_confidence and {self.prefix}coverage exclude each other."
            )
        if self.min_confidence is not None and self.score != "probability":
            raise MisconfigurationException(
                f"{self.prefix}min_confidence is a probability: with {self.prefix}score {self.score} give "
                f"{self.prefix}coverage."
            )

    def threshold(self, fitted: Fitted) -> float:
        """Find the certainty below which the answer is ``unknown``.

        Args:
            fitted: The statistics of the validation.

        Returns:
            The certainty; minus infinity if all are answered.

        Raises:
            MisconfigurationException: If the checkpoint doesn't know it.
        """
        if self.coverage is None:
            return -math.inf if self.min_confidence is None else self.min_confidence
        if not fitted.percentiles.get(self.score):
            instead = ""
            if self.score == "probability":
                instead = f", and its temperature (calibration.enabled): give {self.prefix}min_confidence instead"
            raise MisconfigurationException(
                f"{self.prefix}coverage needs a checkpoint of a run that was validated, by this version{instead}."
            )
        return threshold_of(fitted.percentiles[self.score], self.coverage)
