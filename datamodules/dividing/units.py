"""Images that belong together, and stay in one part of a division."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from datamodules.samples import NO_LABEL


def units(size: int, groups: npt.NDArray[np.int64] | None, pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Number what belongs together, by the smallest position in it (union-find).

    Args:
        size: Number of samples.
        groups: Numbers of their groups, int64 of shape (size,), ``NO_LABEL`` for a sample of its own; or None.
        pairs: Positions of samples that belong together.

    Returns:
        The number of each sample's unit, int64 of shape (size,).
    """
    parent = list(range(size))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    first: dict[int, int] = {}
    grouped = [
        (first.setdefault(group, position), position)
        for position, group in enumerate([] if groups is None else groups.tolist())
        if group != NO_LABEL
    ]
    for one, other in (*grouped, *pairs):
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(position) for position in range(size)], dtype=np.int64)


def keep_together(
    in_second: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], unit: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.bool_]:
    """Move samples between the parts until no unit is parted.

    The classes' shares stay as they were, as nearly as units allow. The second part gets a unit of a class that it
    would lack, as long as that brings it nearer to its size, and it gets one at least.

    Args:
        in_second: Whether each sample is in the second part, of shape (n,).
        labels: Labels, int64 of shape (n,).
        unit: What ``units`` returned.
        seed: The same seed gives the same division.

    Returns:
        Whether each sample is in the second part now; none is where no unit could be spared.
    """
    moving = _Moving(in_second, labels, unit)
    random = np.random.default_rng(seed)
    for label in np.flatnonzero((moving.taken == moving.counts) & (moving.counts > 0)).tolist():
        while moving.taken[label] == moving.counts[label]:  # the first part has something of every class
            moving.move(moving.smallest_of(random.permutation(moving.units_of(label, moved=True))), out=True)
    for label in np.flatnonzero(moving.taken != moving.wanted).tolist():
        out = bool(moving.taken[label] > moving.wanted[label])
        for chosen in random.permutation(moving.units_of(label, moved=out)):
            if moving.comes_nearer(chosen, out):
                moving.move(chosen, out)
    for label in random.permutation(np.flatnonzero((moving.taken == 0) & (moving.wanted > 0))).tolist():
        found = moving.smallest(random.permutation(moving.units_of(label, moved=False)), filling=True)
        if found is not None and not moving.taken[label]:
            moving.move(found, out=False)
    if not moving.moved.any() and (found := moving.smallest(random.permutation(np.unique(unit)), False)) is not None:
        moving.move(found, out=False)
    return moving.moved


class _Moving:
    """A division in the making: what is in the second part, and how much of each class."""

    def __init__(
        self, in_second: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], unit: npt.NDArray[np.int64]
    ) -> None:
        self.labels, self.unit = labels, unit
        self.size = np.bincount(unit, minlength=len(unit))
        inside = np.bincount(unit, weights=in_second, minlength=len(unit))
        self.moved: npt.NDArray[np.bool_] = (inside * 2 > self.size)[unit]
        self.counts = np.bincount(labels)
        self.wanted = np.bincount(labels[in_second], minlength=len(self.counts))
        self.taken = np.bincount(labels[self.moved], minlength=len(self.counts))
        self._by_unit = np.argsort(unit, kind="stable")
        self._begin = np.cumsum(self.size) - self.size

    def units_of(self, label: int, moved: bool) -> npt.NDArray[np.int64]:
        return np.unique(self.unit[(self.labels == label) & (self.moved == moved)])

    def comes_nearer(self, chosen: int, out: bool) -> bool:
        """Check whether moving a unit brings its classes nearer to their shares."""
        classes, after = self._after(chosen, out)
        wanted = self.wanted[classes]
        nearer = np.abs(after - wanted).sum() < np.abs(self.taken[classes] - wanted).sum()
        return bool(nearer and (after < self.counts[classes]).all())

    def smallest(self, candidates: npt.NDArray[np.int64], filling: bool) -> int | None:
        """Find the smallest unit that can be spared, if there is one; to fill, it has to bring the size nearer."""
        missing = int(self.wanted.sum() - self.taken.sum())
        for chosen in self._by_size(candidates):
            if filling and abs(missing - int(self.size[chosen])) >= abs(missing):
                return None
            classes, after = self._after(chosen, out=False)
            if (after < self.counts[classes]).all():
                return int(chosen)
        return None

    def smallest_of(self, candidates: npt.NDArray[np.int64]) -> int:
        return int(self._by_size(candidates)[0])

    def _by_size(self, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return candidates[np.argsort(self.size[candidates], kind="stable")]

    def move(self, chosen: int, out: bool) -> None:
        classes, after = self._after(chosen, out)
        self.moved[self._members(chosen)] = not out
        self.taken[classes] = after

    def _members(self, chosen: int) -> npt.NDArray[np.int64]:
        return self._by_unit[self._begin[chosen] : self._begin[chosen] + self.size[chosen]]

    def _after(self, chosen: int, out: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Count the classes of a unit in the second part after it has moved."""
        classes, numbers = np.unique(self.labels[self._members(chosen)], return_counts=True)
        return classes, self.taken[classes] + (-numbers if out else numbers)
