"""The tables and the matrix of a report."""

from typing import Any

import numpy as np
from scipy.sparse import coo_array

from results.confusion import class_counts, worst_mistakes
from results.evaluation.answers import Evaluation
from results.evaluation.groups import class_groups
from results.evaluation.intervals import SCORES, Interval, bootstrap, share

MATRIX = 1000  # classes up to which a matrix is drawn
_TOP = 5


def score_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Compute the scores with their intervals.

    Args:
        evaluation: The answers.

    Returns:
        ``name``, ``sides`` (plain, TTA) and ``difference`` of each score.
    """
    rows = []
    for name, score in SCORES.items():
        if name == "top-5" and len(evaluation.class_names) <= _TOP:
            continue
        sides, difference = bootstrap(evaluation.sides, evaluation.labels, score)
        rows.append({"name": name, "sides": list(sides.values()), "difference": difference})
    return rows


def class_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Compute the scores of each class, the least accurate first.

    Args:
        evaluation: The answers.

    Returns:
        Name, pictures, accuracy with its interval (None without pictures), precision, F1 and what it is most often
        taken for.
    """
    names, labels = evaluation.class_names, evaluation.labels
    counts = _counts(evaluation)
    hits, true, predicted = class_counts(counts)
    worst, right = worst_mistakes(counts), evaluation.best.hits(labels)
    rows = []
    for index, name in enumerate(names):
        mistake, times = worst.get(index, (None, 0))
        occurs = true[index] + predicted[index] > 0
        rows.append(
            {
                "name": name,
                "pictures": int(true[index]),
                "accuracy": share(right[labels == index]) if true[index] else None,
                "precision": f"{hits[index] / max(1, predicted[index]):.3f}" if occurs else "",
                "f1": f"{2 * hits[index] / max(1, true[index] + predicted[index]):.3f}" if occurs else "",
                "confused": "" if mistake is None else names[mistake],
                "times": times,
            }
        )
    return sorted(rows, key=lambda row: (row["accuracy"] is None, row["accuracy"] or (0,)))


def matrix_cells(evaluation: Evaluation) -> dict[str, Any] | None:
    """Prepare the confusion matrix for the page, classes of one make beside each other.

    Args:
        evaluation: The answers.

    Returns:
        ``names``, ``cells`` (row, column, count), ``totals`` of the rows, and ``groups``, makes with their first row;
        None of too many classes.
    """
    names = evaluation.class_names
    if len(names) > MATRIX:
        return None
    makes = class_groups(names).get("make", [""] * len(names))
    order = sorted(range(len(names)), key=lambda index: (makes[index], names[index]))
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    counts = _counts(evaluation)
    rows, columns = (place[part].tolist() for part in counts.coords)
    begins = [n for n in range(len(names)) if n == 0 or makes[order[n]] != makes[order[n - 1]]]
    return {
        "names": [names[index] for index in order],
        "cells": list(zip(rows, columns, counts.data.tolist(), strict=True)),
        "totals": np.maximum(1, np.bincount(place[evaluation.labels], minlength=len(names))).tolist(),
        "groups": [[makes[order[begin]], begin] for begin in begins],
    }


def group_shares(evaluation: Evaluation) -> dict[str, dict[str, Interval]]:
    """Compute the accuracy by make, body type and year.

    Args:
        evaluation: The answers.

    Returns:
        The shares by title and group, in the order of the groups' names.
    """
    hits = evaluation.best.hits(evaluation.labels)
    found = {}
    for title, groups in class_groups(evaluation.class_names).items():
        of_picture = np.array(groups)[evaluation.labels]
        present = [str(group) for group in np.unique(of_picture)]
        found[title] = {group or "other": share(hits[of_picture == group]) for group in present}
    return found


def _counts(evaluation: Evaluation) -> coo_array:
    size = len(evaluation.class_names)
    cells = (evaluation.labels, evaluation.best.classes[:, 0])
    counts = coo_array((np.ones(len(evaluation.labels), dtype=np.int64), cells), shape=(size, size))
    counts.sum_duplicates()
    return counts
