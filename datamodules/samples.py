"""The list of samples that one split consists of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NO_LABEL = -1  # evaluation passes over samples with this label


@dataclass(frozen=True)
class Samples:
    """Files with their labels and, where they are annotated, boxes.

    Attributes:
        files: Paths, shape (n,), an array of strings.
        labels: Class indices counting from 0, int64, shape (n,), ``NO_LABEL`` where one is absent; None where nothing
            is labelled.
        boxes: Boxes (x1, y1, x2, y2) in pixels counting from 0, x2 and y2 exclusive, int64, shape (n, 4), or None.
        groups: Numbers of the groups that no division may part, int64, shape (n,), ``NO_LABEL`` for a sample of its
            own; None if there are no groups. A group has the same number in all lists.
    """

    files: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64] | None = None
    boxes: npt.NDArray[np.int64] | None = None
    groups: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def count_files(self) -> int:
        """Count the files, each of which is listed once for each of its boxes.

        Returns:
            Their number.
        """
        return len(self.files if self.boxes is None else {*self.files})

    def take(self, indices: npt.NDArray[np.int64]) -> "Samples":
        """Return the samples at these positions.

        Args:
            indices: Positions, int64, shape (m,).

        Returns:
            Those m samples, in that order.
        """
        return Samples(
            self.files[indices],
            None if self.labels is None else self.labels[indices],
            None if self.boxes is None else self.boxes[indices],
            None if self.groups is None else self.groups[indices],
        )

    def labelled(self) -> npt.NDArray[np.int64]:
        """Find the samples that have a label.

        Returns:
            Their positions, int64, shape (m,).
        """
        return np.flatnonzero(np.zeros(0) if self.labels is None else self.labels != NO_LABEL)


def with_several_boxes(parts: Sequence[Samples]) -> set[str]:
    """Find the photographs of which there are several samples, each with a box of its own.

    Args:
        parts: Lists of samples.

    Returns:
        Their files.
    """
    first: dict[str, list[int]] = {}
    several: set[str] = set()
    for part in parts:
        if part.boxes is not None:
            for file, box in zip(part.files.tolist(), part.boxes.tolist(), strict=True):
                if first.setdefault(file, box) != box:
                    several.add(file)
    return several


def joined(parts: Sequence[Samples]) -> Samples:
    """Put lists of samples together.

    Args:
        parts: The lists.

    Returns:
        All of their samples; boxes only if all lists have them.
    """
    if len(parts) == 1:
        return parts[0]
    boxes = [part.boxes for part in parts if part.boxes is not None]
    labels = [np.full(len(part), NO_LABEL) if part.labels is None else part.labels for part in parts]
    groups = [np.full(len(part), NO_LABEL) if part.groups is None else part.groups for part in parts]
    return Samples(
        np.concatenate([part.files for part in parts]),
        np.concatenate(labels),
        np.concatenate(boxes) if len(boxes) == len(parts) else None,
        np.concatenate(groups) if any(part.groups is not None for part in parts) else None,
    )
