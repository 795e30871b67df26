"""Finds tensors that hold values which are NaN or infinite."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm


def norm_of(tensors: Iterable[Tensor], order: float = 2.0) -> Tensor:
    """Compute one norm over all tensors, where they lie: it isn't finite if one of their values isn't.

    On a CPU the Euclidean norm takes a fraction of the time of others. Large values may make it infinite where all are
    finite.

    Args:
        tensors: Any tensors; integers and empty ones are passed over, of a sharded one this device's part counts.
        order: Of the norm; infinity takes the largest absolute value.

    Returns:
        The norm, a scalar on the device of the first one.
    """
    parts = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
    norm: Tensor = get_total_norm([part.detach() for part in parts if part.is_floating_point() and part.numel()], order)
    return norm


def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """Find the first tensor that holds NaN or an infinite value.

    Args:
        tensors: Names and tensors.

    Returns:
        Its name, or None if all are finite.
    """
    for name, tensor in tensors:
        part = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        if not bool(torch.isfinite(part).all()):
            return name
    return None
