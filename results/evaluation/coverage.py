"""The accuracy gained by withholding the least certain answers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from results.evaluation.answers import Flags, Floats


class Coverage(NamedTuple):
    """Accuracy over the share of pictures that are answered, the surest first.

    Attributes:
        confidence: The least probability among the answers, falling, float64 of shape (points,).
        coverage: The share of pictures that is answered, float64 of shape (points,).
        accuracy: The share of right answers among them, float64 of shape (points,).
        aurc: Area under the risk-coverage curve: the mean of 1 - accuracy over all coverages (Geifman et al., 2019).
    """

    confidence: npt.NDArray[np.float64]
    coverage: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    aurc: float


def coverage_curve(confidence: Floats, hits: Flags) -> Coverage:
    """Compute the accuracy for every threshold on the probability; pictures of equal probability come together.

    Args:
        confidence: Probability of each answer, float32 of shape (pictures,), at least one.
        hits: Whether it is right, of shape (pictures,).

    Returns:
        The curve.
    """
    order = np.argsort(-confidence, kind="stable")
    sure = confidence[order].astype(np.float64)
    ends = np.append(np.nonzero(np.diff(sure))[0], len(sure) - 1)
    answered = ends + 1
    accuracy = np.cumsum(hits[order])[ends] / answered
    steps = np.diff(answered, prepend=0)
    return Coverage(sure[ends], answered / len(sure), accuracy, float(((1 - accuracy) * steps).sum() / len(sure)))


def at_coverage(curve: Coverage, coverage: float) -> int:
    """Find the highest threshold at which at least a share of the pictures is answered.

    Args:
        curve: The curve.
        coverage: The share, above 0 and at most 1.

    Returns:
        The point of the curve.
    """
    return min(int(np.searchsorted(curve.coverage, coverage - 1e-9)), len(curve.coverage) - 1)
