"""How far a score would move on other pictures of the same kind."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from results.evaluation.answers import Answers, Flags, Integers

_DRAWS = 1000


class Interval(NamedTuple):
    """A score with its 95 % interval.

    Attributes:
        score: The score.
        low: Lower bound.
        high: Upper bound.
    """

    score: float
    low: float
    high: float


Score = Callable[[Answers, Integers, npt.NDArray[np.int64] | slice], float]


def accuracy(answers: Answers, labels: Integers, chosen: npt.NDArray[np.int64] | slice) -> float:
    """Compute the share of right first answers among chosen pictures."""
    return float((answers.classes[chosen, 0] == labels[chosen]).mean())


def top5_accuracy(answers: Answers, labels: Integers, chosen: npt.NDArray[np.int64] | slice) -> float:
    """Compute the share of chosen pictures whose class is among the first five answers."""
    return float((answers.classes[chosen, :5] == labels[chosen][:, None]).any(axis=1).mean())


def loss(answers: Answers, _labels: Integers, chosen: npt.NDArray[np.int64] | slice) -> float:
    """Compute the mean negative log-likelihood of chosen pictures, in nats."""
    return float(answers.loss[chosen].mean())


def macro_f1(answers: Answers, labels: Integers, chosen: npt.NDArray[np.int64] | slice) -> float:
    """Compute F1, averaged over the classes that are present or predicted among chosen pictures."""
    true, predicted = labels[chosen], answers.classes[chosen, 0]
    size = int(max(true.max(), predicted.max())) + 1
    hits = np.bincount(true[true == predicted], minlength=size)
    found = np.bincount(true, minlength=size) + np.bincount(predicted, minlength=size)
    return float((2 * hits[found > 0] / found[found > 0]).mean())


SCORES: dict[str, Score] = {"accuracy": accuracy, "top-5": top5_accuracy, "F1": macro_f1, "loss": loss}


def bootstrap(
    sides: dict[str, Answers], labels: Integers, score: Score, draws: int = _DRAWS
) -> tuple[dict[str, Interval], Interval | None]:
    """Compute a score with its bootstrap interval over pictures (percentiles; Efron, 1979), and two sides' difference.

    The sides see the same pictures in each draw, so that the difference is a paired one.

    Args:
        sides: One or two sets of answers to the same pictures, by name.
        labels: True classes, int64 of shape (pictures,).
        score: The score.
        draws: How many samples of pictures to draw, with repetition.

    Returns:
        The score of each side, and the second's less the first's; None of a single side.
    """
    generator = np.random.default_rng(0)
    values = {name: np.empty(draws) for name in sides}
    for draw in range(draws):
        chosen = generator.integers(len(labels), size=len(labels))
        for name, answers in sides.items():
            values[name][draw] = score(answers, labels, chosen)
    scores = {name: score(answers, labels, slice(None)) for name, answers in sides.items()}
    intervals = {name: _interval(scores[name], values[name]) for name in sides}
    if len(sides) < 2:
        return intervals, None
    first, second = sides
    return intervals, _interval(scores[second] - scores[first], values[second] - values[first])


def _interval(score: float, values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(score, float(low), float(high))


def share(flags: Flags) -> Interval:
    """Compute a share with Wilson's interval (1927), which is sensible for few pictures too.

    Args:
        flags: Flags of shape (pictures,), at least one.

    Returns:
        The share of those that are set.
    """
    found = binomtest(int(flags.sum()), len(flags)).proportion_ci(method="wilson")
    return Interval(float(flags.mean()), float(found.low), float(found.high))
