"""Samplers: the order of samples, on one device and on many."""

from collections import Counter
from collections.abc import Callable, Iterator, Sized
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from datamodules.loading.sampler_key import PADDING, SamplerKey

_WINDOW = 8  # blocks that are open at a time


class ShuffledSampler(DistributedSampler[SamplerKey]):
    """Shuffles in each epoch, as a function of the seed and the epoch.

    All devices share one order: device r takes the positions r, r + world_size, ..., so that with a fixed global batch
    the k-th step sees the same images on any number of devices. Left-over images that don't fill a batch on every
    device are dropped; the next epoch drops others.

    It derives from ``DistributedSampler`` so that Lightning leaves it in place and tells it the epoch.

    Args:
        dataset: The data set.
        seed: Seed of the order.
        num_replicas: Number of devices.
        rank: This device.
        balance: Labels, int64 of shape (n,); if given, samples are drawn with repetition, so that all classes come
            equally often, where otherwise each comes once.
        done: Says how many samples of the epoch this device has had already when the epoch is begun, which is none
            unless a run is resumed.
    """

    def __init__(
        self,
        dataset: Dataset[object],
        seed: int,
        num_replicas: int = 1,
        rank: int = 0,
        balance: npt.NDArray[np.int64] | None = None,
        done: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=True, seed=seed, drop_last=True)
        self.num_samples = len(cast(Sized, dataset)) // num_replicas
        self.done = done
        self.weights = None if balance is None else torch.from_numpy(1.0 / np.bincount(balance)[balance])

    def __iter__(self) -> Iterator[SamplerKey]:
        generator = torch.Generator()
        generator.manual_seed(int(np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)[0]))
        block: int | None = getattr(self.dataset, "block", None)
        if self.weights is None and block:
            order = shuffled_in_blocks(len(cast(Sized, self.dataset)), block, generator)
        elif self.weights is None:
            order = torch.randperm(len(cast(Sized, self.dataset)), generator=generator)
        else:
            order = torch.multinomial(self.weights, len(self.weights), replacement=True, generator=generator)
        epoch, seen = self.epoch, Counter[int]()
        begin = self.done() * self.num_replicas
        order = order[: self.num_samples * self.num_replicas]
        soon = self._soon(order[begin + self.rank :: self.num_replicas], block)
        for position, index in enumerate(order.tolist()):
            if position >= begin and position % self.num_replicas == self.rank:
                yield SamplerKey(epoch, index, seen[index], soon.get((position - begin) // self.num_replicas, ()))
            if self.weights is not None:
                seen[index] += 1

    def _soon(self, order: Tensor, block: int | None) -> dict[int, tuple[int, ...]]:
        """Find the blocks to fetch from each of this device's samples on: those that a window later come first."""
        blocks_of = getattr(self.dataset, "blocks_of", None)
        blocks = blocks_of(order.numpy()) if blocks_of and self.weights is None else None
        if block is None or blocks is None:
            return {}
        found: dict[int, tuple[int, ...]] = {}
        for first in np.sort(np.unique(blocks, return_index=True)[1]).tolist():
            place = max(0, first - _WINDOW * block // self.num_replicas)
            found[place] = (*found.get(place, ()), int(blocks[first]))
        return found


def shuffled_in_blocks(size: int, block: int, generator: torch.Generator) -> Tensor:
    """Shuffle so that samples which lie together come close together: first the blocks, then within windows of them.

    Args:
        size: Number of samples.
        block: Number of samples in a block.
        generator: Source of randomness.

    Returns:
        A permutation of 0 to size - 1, int64 of shape (size,).
    """
    blocks = torch.split(torch.arange(size), block)
    order = torch.cat([blocks[index] for index in torch.randperm(len(blocks), generator=generator).tolist()])
    windows = torch.split(order, _WINDOW * block)
    return torch.cat([window[torch.randperm(len(window), generator=generator)] for window in windows])


class ShardSampler(DistributedSampler[int]):
    """Deals each sample to exactly one device, in order.

    PyTorch's own sampler repeats samples until all devices hold equally many, which changes the scores
    (pytorch-lightning #7929). Here a device that holds one less gets an index that stands for nothing: with fewer
    batches than others it would leave them waiting for ever, since validation inside ``fit`` runs through
    ``DistributedDataParallel``, whose forward pass is collective.

    Args:
        dataset: The data set.
        num_replicas: Number of devices.
        rank: This device.
    """

    def __init__(self, dataset: Dataset[object], num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=False)
        self.indices = range(rank, len(cast(Sized, dataset)), num_replicas)

    def __iter__(self) -> Iterator[int]:
        yield from self.indices
        yield from [PADDING] * (self.num_samples - len(self.indices))
