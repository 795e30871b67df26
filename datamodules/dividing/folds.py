"""Dividing samples in folds, each of which validates what the others have trained."""

import warnings
from collections.abc import Sequence

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from datamodules.check_range import check_range
from datamodules.dividing.units import units
from datamodules.samples import Samples


def check_folds(folds: int | None, fold: int) -> None:
    """Refuse a fold that there isn't.

    Args:
        folds: How many there are; None for no cross-validation.
        fold: The one that validates, counting from 0.

    Raises:
        MisconfigurationException: If a number is out of range.
    """
    check_range("folds", folds or 2, 2, 1_000)
    if fold and folds is None:
        raise MisconfigurationException(f"data.fold is {fold}, but data.folds is null: say how many folds there are.")
    check_range("fold", fold, 0, (folds or 1) - 1)


def divide_fold(
    samples: Samples, folds: int, fold: int, seed: int, pairs: Sequence[tuple[int, int]] = ()
) -> tuple[Samples, Samples]:
    """Divide samples in all folds but one and that one, stratified by class.

    These are scikit-learn's ``StratifiedKFold``, or ``StratifiedGroupKFold`` where samples belong together.

    Args:
        samples: Labelled samples; their ``groups`` are kept together.
        folds: Number of folds.
        fold: The fold of the second part, counting from 0.
        seed: The same seed gives the same folds.
        pairs: Positions of samples to keep together as well.

    Returns:
        Both parts in the original order. A class with fewer samples than folds is absent from some folds, and one with
        a single sample from the first part of its fold.

    Raises:
        MisconfigurationException: If there are too few samples.
    """
    assert samples.labels is not None
    unit = units(len(samples), samples.groups, pairs)
    together = len(np.unique(unit)) < len(samples)
    kind = StratifiedGroupKFold if together else StratifiedKFold
    splitter = kind(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has fewer samples than folds
        try:
            parts = [*splitter.split(samples.files, samples.labels, unit if together else None)]
        except ValueError as error:
            raise MisconfigurationException(
                f"data.folds is {folds}, but no class has so many training images: choose fewer folds."
            ) from error
    first, second = parts[fold]
    if not len(first) or not len(second):
        raise MisconfigurationException(f"data.folds is {folds}, which leaves fold {fold} without images: lower it.")
    return samples.take(first), samples.take(second)
