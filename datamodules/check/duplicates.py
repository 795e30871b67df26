"""Finds images that show the same picture."""

from itertools import combinations

import numpy as np
import numpy.typing as npt

_HANDFUL = 5  # a box that more images have was made by a program, or marks one place before a fixed camera


def shared_boxes(boxes: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Find images with the same box to the pixel, which are likely the same photograph.

    Args:
        boxes: Boxes, int64 of shape (n, 4).
        sizes: Width and height of the images, int64 of shape (n, 2); zeros where they aren't known.

    Returns:
        Pairs of positions, without boxes that span their whole image, and without those that more than five images
        have.
    """
    whole = (boxes[:, :2] == 0).all(axis=1) & (boxes[:, 2:] == sizes).all(axis=1)
    kept = np.flatnonzero(~whole)
    _, group_of, counts = np.unique(boxes[kept], axis=0, return_inverse=True, return_counts=True)
    by_group = kept[np.argsort(group_of.ravel(), kind="stable")]
    begin = np.cumsum(counts) - counts
    pairs = []
    for group in np.flatnonzero((counts > 1) & (counts <= _HANDFUL)):
        pairs += list(combinations(by_group[begin[group] : begin[group] + counts[group]].tolist(), 2))
    return pairs
