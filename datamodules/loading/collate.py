"""Joins samples to batches without rearranging their pixels."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info

from datamodules.loading.shared_slots import SharedSlots, Slot


class OneByOne:
    """For data sets: PyTorch's loaders get samples that are made when they are joined.

    A picture is in the processor's cache then, and its memory serves the next one; a whole batch of pictures would be
    new memory each time.
    """

    def __getitems__(self, keys: Sequence[Any]) -> "AskedSamples":
        """Promise samples, as loaders ask for them.

        Args:
            keys: What ``__getitem__`` takes.

        Returns:
            The samples.
        """
        return AskedSamples(self, keys)


class AskedSamples:
    """Samples that are made while one goes through them.

    Args:
        dataset: The data set.
        keys: What its ``__getitem__`` takes.
    """

    def __init__(self, dataset: Any, keys: Sequence[Any]) -> None:
        self.dataset, self.keys = dataset, keys

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        return (self.dataset[key] for key in self.keys)


def collate(samples: Sequence[tuple[Tensor, Any]] | AskedSamples, slots: SharedSlots | None = None) -> list[Any]:
    """Join samples.

    Decoders give the three colours of a pixel side by side, and convolutions are faster that way (channels-last).
    PyTorch's own function would bring them into planes, and the network back.

    Args:
        samples: Images, uint8 of shape (3, height, width), and what belongs to each.
        slots: Memory for the batches of loading processes; without it, or in the main process, new memory is taken.

    Returns:
        The images, uint8 of shape (batch, 3, height, width) in the channels-last memory format, and the others as
        ``torch.utils.data.default_collate`` joins them.

    Raises:
        ValueError: If the images aren't of one size.
    """
    rest: list[Any] = []
    for image, other in samples:  # enumerate would keep a sample until the next one is made
        if not rest:
            given, pixels = _memory((len(samples), *image.shape[1:], image.shape[0]), image.dtype, slots)
        if image.shape[1:] != pixels.shape[1:3]:
            raise ValueError(f"images of {tuple(pixels.shape[1:3])} and {tuple(image.shape[1:])} pixels in a batch")
        pixels[len(rest)] = image.permute(1, 2, 0).numpy()
        rest.append(other)
        del image  # its memory serves the next one
    joined = default_collate(rest)
    return [given, SmallTensor(joined) if isinstance(given, Slot) and isinstance(joined, Tensor) else joined]


class SmallTensor:
    """A tensor that goes to the main process by value.

    PyTorch would open shared memory and a connection for it, which takes longer than a batch of labels is worth.

    Args:
        tensor: What arrives.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.from_numpy, (self.tensor.numpy(),)


def _memory(
    shape: tuple[int, ...], dtype: torch.dtype, slots: SharedSlots | None
) -> tuple[Slot | Tensor, npt.NDArray[Any]]:
    """Find what goes to the main process, and how to fill it."""
    worker = get_worker_info()
    slot = slots.take(worker.id, shape) if slots is not None and worker is not None else None
    pixels = torch.empty(shape, dtype=dtype) if slot is None else slot.pixels
    return (pixels.permute(0, 3, 1, 2) if slot is None else slot), pixels.numpy()
