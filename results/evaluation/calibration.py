"""Compares how sure answers are with how often they are right."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from results.evaluation.answers import Flags, Floats

BINS = 15


class Reliability(NamedTuple):
    """Answers by how sure they are.

    Attributes:
        counts: Number of answers in each bin, int64 of shape (bins,).
        confidence: Their mean probability, float64 of shape (bins,), NaN in empty bins.
        accuracy: The share of right ones, likewise.
        error: The expected calibration error: the mean of |accuracy - confidence| over all answers.
    """

    counts: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    error: float


def reliability(confidence: Floats, hits: Flags, bins: int = BINS) -> Reliability:
    """Sort answers into bins of equal width by their probability (Naeini et al., 2015; Guo et al., 2017).

    The last bin is closed: a probability of 1 lies in it, and not in a bin of its own.

    Args:
        confidence: Probability of each answer, float32 of shape (pictures,).
        hits: Whether it is right, of shape (pictures,).
        bins: Number of bins.

    Returns:
        The bins and the error.
    """
    index = np.minimum((np.asarray(confidence, dtype=np.float64) * bins).astype(np.int64), bins - 1)
    counts = np.bincount(index, minlength=bins)
    sums = [np.bincount(index, weights=values, minlength=bins) for values in (confidence, hits.astype(np.float64))]
    error = float(np.abs(sums[1] - sums[0]).sum() / max(1, len(hits)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Reliability(counts, sums[0] / counts, sums[1] / counts, error)
