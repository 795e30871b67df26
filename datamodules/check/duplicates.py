"""Finds images that show the same picture."""

from itertools import combinations

import numpy as np
import numpy.typing as npt


def shared_boxes(boxes: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Find images with the same box to the pixel, which are likely the same photograph.

    Args:
        boxes: Boxes, int64 of shape (n, 4).
        sizes: Width and height of the images, int64 of shape (n, 2); zeros where they aren't known.

    Returns:
        Pairs of positions, without boxes that span their whole image.
    """
    whole = (boxes[:, :2] == 0).all(axis=1) & (boxes[:, 2:] == sizes).all(axis=1)
    kept = np.flatnonzero(~whole)
    _, group_of, counts = np.unique(boxes[kept], axis=0, return_inverse=True, return_counts=True)
    pairs = []
    for group in np.flatnonzero(counts > 1):
        pairs += list(combinations(kept[group_of.ravel() == group].tolist(), 2))
    return pairs
