"""Divides samples into two parts with the same class frequencies, keeping groups together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.model_selection import train_test_split

from datamodules.dividing.units import keep_together, units
from datamodules.samples import Samples

_NAMED = 3


class Division(NamedTuple):
    """Two parts of samples.

    Attributes:
        first: The larger part, in the original order.
        second: The other one, in the original order.
        notes: Deviations from what was requested, in sentences.
    """

    first: Samples
    second: Samples
    notes: list[str]


def divide(
    samples: Samples,
    fraction: float,
    seed: int,
    option: str = "data.val_fraction",
    pairs: Sequence[tuple[int, int]] = (),
    class_names: Sequence[str] = (),
) -> Division:
    """Divide samples, stratified by class.

    Where no pair and no group is to be kept together and every class is large enough, this is scikit-learn's
    ``train_test_split``. Otherwise the parts of that division give up as few samples as possible: a group goes as a
    whole to the part that has most of it, and others of its classes take their places as far as that is possible.

    Args:
        samples: Labelled samples; their ``groups`` are kept together.
        fraction: The second part's share, between 0 and 1.
        seed: The same seed gives the same division.
        option: What the fraction is called in a config, for messages.
        pairs: Positions of samples to keep together as well.
        class_names: Names of the classes, for messages.

    Returns:
        The parts. A class with one sample, or one group, is in the first part alone; so is, in turn, one that is too
        small for its share, or whose groups are too large for it. The second part has one group at least.

    Raises:
        MisconfigurationException: If the fraction isn't valid, or there are too few samples for two parts.
    """
    if not 0 < fraction < 1:
        raise MisconfigurationException(f"{option} is {fraction}: it has to lie between 0 and 1.")
    if len(samples) < 2:
        raise MisconfigurationException(
            f"Can't split off {option}={fraction} of {len(samples)} images: two are needed at least."
        )
    assert samples.labels is not None
    in_second = _stratified(samples.labels, fraction, seed)
    unit = units(len(samples), samples.groups, pairs)
    notes = []
    grouped = len(np.unique(unit)) < len(samples)
    if grouped:
        together = keep_together(in_second, samples.labels, unit, seed)
        if together.any():
            in_second = together
        else:
            notes.append(
                f"{option}: no class can be divided, since all its images belong together, by group or since they "
                "show the same picture; they are divided nevertheless, so that scores will be too high."
            )
    absent = sorted({*samples.labels.tolist()} - {*samples.labels[in_second].tolist()})
    if absent:
        names = [repr(class_names[label]) if label < len(class_names) else str(label) for label in absent]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        few = "too few, or too large groups" if grouped else "too few"
        notes.append(
            f"{option}={fraction:g} takes {in_second.sum()} of {len(samples)} images, none of them of "
            f"{'the class' if len(names) == 1 else f'{len(names)} classes'} {', '.join(names[:_NAMED])}{more}, which "
            f"{'has' if len(names) == 1 else 'have'} {few}."
        )
    return Division(samples.take(np.flatnonzero(~in_second)), samples.take(np.flatnonzero(in_second)), notes)


def _stratified(labels: npt.NDArray[np.int64], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the second part's samples."""
    in_second = np.zeros(len(labels), dtype=bool)
    try:
        _, second = train_test_split(np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels)
        in_second[second] = True
    except ValueError:  # a class has one sample, or there are more classes than samples in a part
        random = np.random.default_rng(seed)
        wanted = min(max(1, round(fraction * len(labels))), len(labels) - 1)
        classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
        ideal = counts * wanted / len(labels)
        # the largest remainders, in random order where they are equal; each class keeps one in the first part
        taken = np.minimum(np.floor(ideal).astype(np.int64), counts - 1)
        order = np.lexsort((random.random(len(classes)), taken - ideal))
        while (missing := wanted - int(taken.sum())) > 0 and (free := order[(taken < counts - 1)[order]]).size:
            taken[free[:missing]] += 1
        shuffled = np.lexsort((random.random(len(labels)), index))
        rank = np.arange(len(labels)) - (np.cumsum(counts) - counts)[index[shuffled]]
        in_second[shuffled[rank < taken[index[shuffled]]]] = True
        if not in_second.any():  # all classes have one sample: some aren't in the first part
            in_second[random.permutation(len(labels))[:wanted]] = True
    return in_second
