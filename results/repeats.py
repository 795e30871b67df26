"""The variation of scores among trainings that differ only by seed or fold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

_LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """A score over several runs.

    Attributes:
        mean: The mean.
        low: Lower bound of the mean's 95 % interval by Student's t; None of a single run.
        high: Its upper bound.
        deviation: Standard deviation of a run, with n - 1 in the denominator.
        least: The smallest score.
        most: The largest.
        runs: Number of runs.
    """

    mean: float
    low: float | None
    high: float | None
    deviation: float | None
    least: float
    most: float
    runs: int


def spread_of(scores: Sequence[float], name: str) -> Spread:
    """Summarise the scores of runs.

    The interval takes runs as independent. Folds share most of their training images, so that theirs is too narrow, and
    no unbiased one is known (Bengio & Grandvalet, 2004).

    Args:
        scores: A score of each run.
        name: Its logged name; an interval of shares, which all are but losses, ends at 0 and 1.

    Returns:
        Mean, interval and spread.
    """
    values = np.asarray(scores, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count == 1:
        return Spread(mean, None, None, None, mean, mean, 1)
    deviation = float(values.std(ddof=1))
    half = float(t.ppf((1 + _LEVEL) / 2, count - 1)) * deviation / count**0.5
    low, high = mean - half, mean + half
    if not name.endswith("loss"):
        low, high = max(0.0, low), min(1.0, high)
    return Spread(mean, low, high, deviation, float(values.min()), float(values.max()), count)
