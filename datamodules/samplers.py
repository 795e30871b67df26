"""Which sample comes when, on one device and on many."""

import math
from collections import Counter
from collections.abc import Iterator, Sized
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.utils.data import BatchSampler, Dataset, DistributedSampler, Sampler

from datamodules.image_dataset import Draw

_WINDOW = 8  # blocks that are open at a time


class ShuffledSampler(DistributedSampler[Draw]):
    """Shuffles anew each epoch, as a function of the seed and the epoch.

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
    """

    def __init__(
        self,
        dataset: Dataset[object],
        seed: int,
        num_replicas: int = 1,
        rank: int = 0,
        balance: npt.NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=True, seed=seed, drop_last=True)
        self.num_samples = len(cast(Sized, dataset)) // num_replicas
        self.weights = None if balance is None else torch.from_numpy(1.0 / np.bincount(balance)[balance])

    def __iter__(self) -> Iterator[Draw]:
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
        for position, index in enumerate(order[: self.num_samples * self.num_replicas].tolist()):
            if position % self.num_replicas == self.rank:
                yield Draw(epoch, index, seen[index])
            if self.weights is not None:
                seen[index] += 1


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
    (pytorch-lightning #7929). Devices may hold one sample more or less than others here.

    Args:
        dataset: The data set.
        num_replicas: Number of devices.
        rank: This device.
    """

    def __init__(self, dataset: Dataset[object], num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=False)
        self.indices = range(rank, len(cast(Sized, dataset)), num_replicas)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


class EvenBatchSampler(BatchSampler):
    """Cuts unequal shards into equally many batches on every device.

    Validation inside ``fit`` runs through ``DistributedDataParallel``, whose forward pass is collective: a device with
    a batch less would leave the others waiting for ever.

    Args:
        sampler: This device's shard.
        batch_size: Largest size of a batch.
        drop_last: Not supported; here because Lightning copies batch samplers by this signature.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)
        if isinstance(sampler, ShardSampler):
            largest_shard = math.ceil(len(cast(Sized, sampler.dataset)) / sampler.num_replicas)
        else:
            largest_shard = len(cast(Sized, sampler))
        self.batches = math.ceil(largest_shard / batch_size)
        if len(cast(Sized, sampler)) < self.batches:
            raise MisconfigurationException(
                f"The validation set is too small to give every device {self.batches} batches: use fewer devices or a "
                "larger data.batch_size."
            )

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        for batch in np.array_split(np.fromiter(self.sampler, dtype=np.int64), self.batches):
            yield batch.tolist()
