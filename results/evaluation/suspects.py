"""Finds pictures whose label is probably wrong, from answers of a network that hasn't seen them in training."""

from typing import NamedTuple

import numpy as np

from results.evaluation.answers import Answers, Integers


class Suspects(NamedTuple):
    """Pictures with suspected labels, the least probable labels against their rivals first.

    Attributes:
        rows: The pictures, int64 of shape (n,).
        rivals: The class that each is counted for, int64 of shape (n,).
    """

    rows: Integers
    rivals: Integers


def suspects(answers: Answers, labels: Integers, num_classes: int) -> Suspects:
    """Find suspected labels by confident learning (Northcutt et al., 2021).

    A picture is counted for another class than its own if that class is at least as probable as it is on average for
    pictures that have its label, and more probable than all others of which that is true. The threshold of a class
    without pictures is 1.

    Args:
        answers: Probabilities of the most probable classes; what isn't among them is too improbable to be counted.
        labels: Given classes, int64 of shape (pictures,).
        num_classes: Number of classes.

    Returns:
        The pictures, and the class that each of them is counted for.
    """
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.bincount(labels, weights=answers.of_truth, minlength=num_classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    above = answers.probabilities >= thresholds[answers.classes]
    first = above.argmax(axis=1)  # classes are sorted by their probability
    rows = np.arange(len(labels))
    counted = answers.classes[rows, first]
    (found,) = np.nonzero(above.any(axis=1) & (counted != labels))
    margins = answers.of_truth[found] - answers.probabilities[found, first[found]]
    found = found[np.argsort(margins, kind="stable")]
    return Suspects(found, counted[found])
