"""Reads confusion matrices that may be too large to be written out."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

Counts: TypeAlias = npt.NDArray[np.int64]
Matrix: TypeAlias = Counts | coo_array


def cells(matrix: Matrix) -> tuple[Counts, Counts, Counts]:
    """List the cells of a matrix that aren't empty.

    Args:
        matrix: Counts of shape (classes, classes), dense or sparse; rows are true classes, columns predicted ones.

    Returns:
        True classes, predicted classes and counts, int64 of shape (cells,), ordered by the true and then by the
        predicted class.
    """
    found = coo_array(matrix)
    true, predicted, counts = (part.astype(np.int64) for part in (*found.coords, found.data))
    order = np.lexsort((predicted, true))
    order = order[counts[order] > 0]
    return true[order], predicted[order], counts[order]


def class_counts(matrix: Matrix) -> tuple[Counts, Counts, Counts]:
    """Count the samples of each class.

    Args:
        matrix: As in ``cells``.

    Returns:
        How often a class was predicted correctly, how often it is true and how often predicted, int64 of shape
        (classes,).
    """
    true, predicted, counts = cells(matrix)
    hit = true == predicted
    hits, present, guesses = np.zeros((3, matrix.shape[0]), dtype=np.int64)
    np.add.at(hits, true[hit], counts[hit])
    np.add.at(present, true, counts)
    np.add.at(guesses, predicted, counts)
    return hits, present, guesses


def confused_pairs(matrix: Matrix, limit: int) -> list[tuple[int, int, int]]:
    """List the mistakes by how often they were made.

    Args:
        matrix: As in ``cells``.
        limit: Length of the list.

    Returns:
        (true class, predicted class, count), the most frequent first; mistakes never made are left out.
    """
    true, predicted, counts = cells(matrix)
    (mistakes,) = np.nonzero(true != predicted)
    order = mistakes[np.argsort(-counts[mistakes], kind="stable")][:limit]
    columns = (part[order].tolist() for part in (true, predicted, counts))
    return list(zip(*columns, strict=True))


def worst_mistakes(matrix: Matrix) -> dict[int, tuple[int, int]]:
    """Find what each class is taken for most often.

    Args:
        matrix: As in ``cells``.

    Returns:
        By true class the predicted one and the count; classes without a mistake are left out.
    """
    pairs = confused_pairs(matrix, limit=matrix.shape[0] ** 2)
    return {true: (predicted, count) for true, predicted, count in reversed(pairs)}


def most_confused(matrix: Matrix, limit: int) -> Counts:
    """Choose the classes of the most frequent mistakes.

    Args:
        matrix: As in ``cells``.
        limit: How many classes to choose.

    Returns:
        Classes in rising order, int64 of shape (n,) with n at most ``limit``: those of the most frequent mistakes, as
        many as fit, and if there are too few, those with most images.
    """
    chosen: dict[int, None] = {}
    for true, predicted, _ in confused_pairs(matrix, limit=limit):
        chosen |= dict.fromkeys((true, predicted)) if len(chosen | {true: None, predicted: None}) <= limit else {}
    _, present, _ = class_counts(matrix)
    chosen |= dict.fromkeys(np.argsort(-present, kind="stable")[:limit].tolist())
    return np.array(sorted(list(chosen)[:limit]), dtype=np.int64)


def part_of(matrix: Matrix, classes: Counts) -> Counts:
    """Extract the part of a matrix for some classes.

    Args:
        matrix: As in ``cells``.
        classes: Classes in rising order, int64 of shape (n,).

    Returns:
        Counts, int64 of shape (n, n).
    """
    true, predicted, counts = cells(matrix)
    within = np.isin(true, classes) & np.isin(predicted, classes)
    part = np.zeros((len(classes), len(classes)), dtype=np.int64)
    part[np.searchsorted(classes, true[within]), np.searchsorted(classes, predicted[within])] = counts[within]
    return part
