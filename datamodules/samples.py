"""The list of samples that one split consists of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.model_selection import train_test_split

NO_LABEL = -1  # evaluation passes over samples with this label


@dataclass(frozen=True)
class Samples:
    """Files with their labels and, where they are annotated, boxes.

    Attributes:
        files: Paths, shape (n,), an array of strings.
        labels: Class indices counting from 0, int64, shape (n,), ``NO_LABEL`` where one is absent; None where nothing
            is labelled.
        boxes: Boxes (x1, y1, x2, y2) in pixels counting from 0, x2 and y2 exclusive, int64, shape (n, 4), or None.
    """

    files: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64] | None = None
    boxes: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.files)

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
        )

    def labelled(self) -> npt.NDArray[np.int64]:
        """Find the samples that have a label.

        Returns:
            Their positions, int64, shape (m,).
        """
        return np.flatnonzero(np.zeros(0) if self.labels is None else self.labels != NO_LABEL)


def stratified_split(
    samples: Samples, fraction: float, seed: int, option: str = "data.val_fraction"
) -> tuple[Samples, Samples]:
    """Split samples in two parts with the same mixture of classes.

    Args:
        samples: Labelled samples.
        fraction: The second part's share, between 0 and 1.
        seed: The same seed gives the same split.
        option: What the fraction is called in a config, for messages.

    Returns:
        The larger part and the part of about ``fraction * n`` samples, each in the original order.

    Raises:
        MisconfigurationException: If a class is too small, or the fraction too extreme, for both parts to hold all
            classes.
    """
    if not 0 < fraction < 1:
        raise MisconfigurationException(f"{option} is {fraction}: it has to lie between 0 and 1.")
    try:
        first, second = train_test_split(
            np.arange(len(samples)), test_size=fraction, random_state=seed, stratify=samples.labels
        )
    except ValueError as error:
        raise MisconfigurationException(
            f"Can't split off {option}={fraction} of {len(samples)} images with every class in both parts: "
            f"{str(error).rstrip('.')}. Add images or change it."
        ) from error
    return samples.take(np.sort(first)), samples.take(np.sort(second))
