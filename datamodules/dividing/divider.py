"""Divides a data set by the options of its data module."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from datamodules.dividing.division import divide
from datamodules.dividing.equal_pictures import equal_pictures
from datamodules.dividing.folds import divide_fold
from datamodules.layouts import Layout
from datamodules.samples import Samples

_MANY = 100_000  # photographs, to look at all of which takes minutes


@dataclass(frozen=True)
class Divider:
    """Divides samples of a layout, always in the same way.

    Attributes:
        layout: The data set.
        seed: ``data.split_seed``.
        keep_equal_together: ``data.keep_equal_together``.
    """

    layout: Layout
    seed: int
    keep_equal_together: bool | None

    def in_two(self, samples: Samples, fraction: float, option: str) -> tuple[Samples, Samples]:
        """Divide samples in two parts; arguments and errors as those of ``divide``."""
        pairs = self._pairs(samples)
        division = divide(samples, fraction, self.seed, option, pairs, self.layout.class_names)
        for note in division.notes:
            rank_zero_warn(note)
        return division.first, division.second

    def fold(self, samples: Samples, folds: int, fold: int) -> tuple[Samples, Samples]:
        """Divide samples in all folds but one and that one; arguments and errors as those of ``divide_fold``."""
        return divide_fold(samples, folds, fold, self.seed, self._pairs(samples))

    def _pairs(self, samples: Samples) -> list[tuple[int, int]]:
        together = self.keep_equal_together
        if together is None and len(samples) > _MANY:
            rank_zero_info(
                f"Equal pictures among these {len(samples)} may be parted: data.keep_equal_together=true looks at all."
            )
            together = False
        files = samples.files.tolist()
        return [*_same_file(files), *([] if together is False else equal_pictures(files, self.layout.base))]


def _same_file(files: Sequence[str]) -> list[tuple[int, int]]:
    """Pair the samples of one photograph, such as its boxes; no picture needs to be looked at for that."""
    if len({*files}) == len(files):
        return []
    first: dict[str, int] = {}
    return [(first[file], place) for place, file in enumerate(files) if first.setdefault(file, place) != place]
