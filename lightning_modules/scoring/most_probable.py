"""Finds the most probable classes, the same ones everywhere."""

from torch import Tensor


def most_probable(probabilities: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the most probable classes of each image.

    Of equal ones, which numbers of 16 bits often are, the first in the list of classes comes first. ``topk`` and
    ``argmax`` choose among them each in its own way, on a GPU at random.

    Args:
        probabilities: Floats of shape (batch, classes).
        count: Number of classes; all of them if there aren't so many.

    Returns:
        Their probabilities and their indices, int64, the most probable first, both of shape (batch, count).
    """
    values, indices = probabilities.sort(dim=1, descending=True, stable=True)
    return values[:, :count].clone(), indices[:, :count].clone()  # views would keep all classes in memory
