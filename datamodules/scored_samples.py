"""Which samples of an evaluation count, and under which labels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info

from datamodules.samples import NO_LABEL, Samples

_NAMED = 5


def scored_samples(
    split: str,
    samples: Samples,
    class_names: list[str],
    index_of: Callable[[str], int | None] | None,
    unknown_classes: Literal["raise", "skip"],
) -> Samples:
    """Translate the labels of a split to a network's, by name, and tell which samples are left out of the scores.

    Args:
        split: Name of the split, for messages.
        samples: Its samples.
        class_names: Names that its labels are positions of.
        index_of: Finds the network's index of a name, None where it doesn't know it; without, labels stay.
        unknown_classes: What to do about images of classes that the network doesn't know.

    Returns:
        The same samples; those to be left out have ``NO_LABEL``.

    Raises:
        MisconfigurationException: If none is left to be scored, or a class is unknown and not to be skipped.
    """
    unlabelled = len(samples) - len(samples.labelled())
    if unlabelled == len(samples):
        raise MisconfigurationException(
            f"None of the {len(samples)} {split} images has a label: fill in the column label, or classify them by "
            "predict."
        )
    if unlabelled:
        rank_zero_info(f"{unlabelled} of {len(samples)} {split} images have no label and are left out of the scores.")
    if index_of is None:
        return samples
    assert samples.labels is not None
    counts = np.bincount(samples.labels[samples.labelled()], minlength=len(class_names))
    found = [index_of(name) for name in class_names]
    unknown = [label for label in np.flatnonzero(counts).tolist() if found[label] is None]
    if unknown:
        left_out = int(counts[unknown].sum())
        if unknown_classes == "raise":
            raise MisconfigurationException(
                f"The {split} images have {_several(len(unknown))} that the checkpoint doesn't know, "
                f"{_listed([repr(class_names[label]) for label in unknown])}: spell classes as it does, or leave the "
                f"{left_out} images out by --data.unknown_classes skip."
            )
        if left_out + unlabelled == len(samples):
            raise MisconfigurationException(
                f"None of the {split} images is of a class that the checkpoint knows: they have "
                f"{_listed([repr(class_names[label]) for label in unknown])}."
            )
        rank_zero_info(
            f"data.unknown_classes: {left_out} of {len(samples)} {split} images are left out, of "
            f"{_several(len(unknown))} that the checkpoint doesn't know: "
            f"{_listed([f'{class_names[label]!r} ({counts[label]})' for label in unknown])}."
        )
    # the last entry is that of samples without a label, whose index is -1
    translation = np.array([*(NO_LABEL if index is None else index for index in found), NO_LABEL], dtype=np.int64)
    return replace(samples, labels=translation[samples.labels])


def _several(classes: int) -> str:
    return "a class" if classes == 1 else f"{classes} classes"


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
