"""Memory for batches that loading processes fill again and again."""

import itertools
import os
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

AHEAD = 4  # slots of a process: two batches that wait, one that is used and one that is filled

_numbers = itertools.count()
_known: "weakref.WeakValueDictionary[int, SharedSlots]" = weakref.WeakValueDictionary()


class SharedSlots:
    """Slots for batches in memory that the loading processes share with the main one.

    PyTorch's loaders take new memory for every batch, which the system clears, maps into two processes and takes back:
    a quarter of the time that a picture costs. A slot is free again when no tensor of the main process lies in it any
    more, whatever keeps it. Each process has slots of its own, so nobody waits for a lock.

    Args:
        workers: Number of loading processes.
        size: Bytes of the largest batch.
    """

    def __init__(self, workers: int, size: int) -> None:
        self.size = size
        self.number = next(_numbers)
        self._pixels = torch.empty(0, dtype=torch.uint8).set_(_shared(workers * AHEAD * size))
        self._taken = torch.empty(0, dtype=torch.uint8).set_(_shared(workers * AHEAD)).zero_()
        _known[self.number] = self

    def take(self, worker: int, shape: tuple[int, ...]) -> "Slot | None":
        """Take a free slot, in a loading process.

        Args:
            worker: Its number.
            shape: Shape of the batch.

        Returns:
            The slot; None if none is free, or the batch is too large.
        """
        count = int(np.prod(shape))
        if count > self.size:
            return None
        for index in range(worker * AHEAD, (worker + 1) * AHEAD):
            if not self._taken[index]:
                self._taken[index] = 1
                return Slot(self.number, index, shape, self._pixels[index * self.size :][:count].view(shape))
        return None

    def received(self, index: int, shape: tuple[int, ...]) -> Tensor:
        """Look at a slot that has been filled, in the main process.

        Args:
            index: Its index.
            shape: Shape of the batch.

        Returns:
            The batch; when it and all that shares its memory are gone, the slot is free.
        """
        begin = index * self.size
        pixels: npt.NDArray[np.uint8] = self._pixels.numpy()[begin : begin + int(np.prod(shape))].reshape(shape)
        weakref.finalize(pixels, _free, self._taken.numpy(), index, os.getpid()).atexit = False
        return torch.from_numpy(pixels)


class Slot:
    """A slot that a loading process fills; on its way to the main process it becomes the tensor in it.

    Args:
        number: Number of the slots that it is one of.
        index: Its index.
        shape: Shape of the batch.
        pixels: The batch, uint8 of that shape.
    """

    def __init__(self, number: int, index: int, shape: tuple[int, ...], pixels: Tensor) -> None:
        self.pixels = pixels
        self._place = number, index, shape

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, self._place


def _receive(number: int, index: int, shape: tuple[int, ...]) -> Tensor:
    return _known[number].received(index, shape).permute(0, 3, 1, 2)


def _free(taken: npt.NDArray[np.uint8], index: int, process: int) -> None:
    if os.getpid() == process:  # not in one that was forked from it
        taken[index] = 0


def _shared(size: int) -> torch.UntypedStorage:
    storage: torch.UntypedStorage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call]
    return storage
