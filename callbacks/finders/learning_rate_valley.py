"""Reads a learning rate off the losses of a range test."""

import numpy as np
import numpy.typing as npt

_BETA = 0.98  # of the smoothing in Lightning's finder
_SKIPPED_AT_THE_END = 5  # steps, in which the loss often has begun to diverge
_FEWEST = 10
_CLEAR = 3.0  # standard deviations: curves of noise alone reach it once in a hundred searches

Losses = npt.NDArray[np.float64]


def unbiased(losses: Losses) -> Losses:
    """Correct Lightning's smoothing, which corrects its bias by one step too many and so halves the first loss.

    Args:
        losses: What Lightning has recorded at steps 0, 1, 2, ..., shape (n,).

    Returns:
        Moving averages that start at the first loss, shape (n,).
    """
    steps = np.arange(len(losses))
    mended: Losses = losses * (1 - _BETA ** (steps + 2)) / (1 - _BETA ** (steps + 1))
    return mended


def suggestion(rates: npt.NDArray[np.float64], losses: Losses) -> float | None:
    """Take the rate in the middle of the longest valley of the losses.

    The valley is the longest decreasing subsequence; its middle lies half its length, in elements, before its last one.
    So does fastai's ``valley`` (fastai.callback.schedule, by ESRI), which leaves out the first tenth and the last five
    steps too. A search of few or noisy steps has no clear valley:
    the loss has to fall by more than it does by chance, which follows from how single losses differ from one step to
    the next.

    Args:
        rates: Learning rates, rising, shape (n,).
        losses: Loss at each, moving averages as of ``unbiased``, shape (n,); what follows the first that isn't finite
            is left out.

    Returns:
        One of the rates, or None if there is no clear valley.
    """
    broken = np.flatnonzero(~np.isfinite(losses))
    losses = losses[: broken[0]] if len(broken) else losses
    first, end = len(losses) // 10, len(losses) - _SKIPPED_AT_THE_END
    if end - first < _FEWEST:
        return None
    start, last, length = longest_decrease(losses[first:end])
    top, bottom = first + start, first + last
    if losses[top] - losses[bottom] <= _CLEAR * _noise(losses, top, bottom):
        return None
    return float(rates[bottom - length // 2])


def longest_decrease(values: Losses) -> tuple[int, int, int]:
    """Find the longest strictly decreasing subsequence.

    Args:
        values: Finite numbers, shape (n,), at least one.

    Returns:
        Positions of its first and its last element, and its number of elements; of several that are equally long, the
        one that ends first.
    """
    lengths, starts = np.ones(len(values), np.int64), np.arange(len(values))
    for place in range(1, len(values)):
        higher = np.flatnonzero(values[:place] > values[place])
        if len(higher):
            before = higher[np.argmax(lengths[higher])]
            lengths[place], starts[place] = lengths[before] + 1, starts[before]
    last = int(np.argmax(lengths))
    return int(starts[last]), last, int(lengths[last])


def _noise(losses: Losses, *steps: int) -> float:
    """Estimate the standard deviation of the difference between two moving averages."""
    sums = losses * (1 - _BETA ** (np.arange(len(losses)) + 1))
    single = (sums - _BETA * np.concatenate([[0.0], sums[:-1]])) / (1 - _BETA)
    changes = np.diff(single)
    # robust (1.4826 times the median), since a loss that diverges jumps
    variance = (1.4826 * np.median(np.abs(changes - np.median(changes)))) ** 2 / 2
    weights = [(1 - _BETA) / (1 + _BETA) * (1 + _BETA ** (n + 1)) / (1 - _BETA ** (n + 1)) for n in steps]
    return float(np.sqrt(variance * sum(weights)))
