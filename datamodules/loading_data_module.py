"""The loaders of all data modules: which images form a batch, on one device and on many."""

from collections.abc import Callable
from itertools import islice
from typing import Any, Literal, TypeAlias

import lightning as L
import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.types import EVAL_DATALOADERS
from torch.utils.data import DataLoader, Dataset

from datamodules.cache.cache_folder import CacheFolder, Kind
from datamodules.cache.picture_cache import PictureCache
from datamodules.image_dataset import ImageDataset
from datamodules.loading.collate import collate
from datamodules.loading.deferred_loader import DeferredLoader, begin_worker
from datamodules.loading.samplers import ShardSampler, ShuffledSampler
from datamodules.loading.worker_count import WorkerCount, choose_workers
from datamodules.photographs.photograph_dataset import PhotographDataset

Split: TypeAlias = Literal["train", "val", "test"]


class LoadingDataModule(L.LightningDataModule):
    """Makes batches of data sets.

    Attributes:
        datasets: Data sets by split, filled by ``setup``.
        photographs: What ``predict`` classifies, filled by ``setup``.
        batch_size: Images per step over all devices together.
        num_workers: Loading processes per device; None chooses.
        timeout: Seconds to wait for a batch of theirs; 0 waits for ever.
        eval_size: Side of evaluation images in pixels.
        image_size: Side of training images.
        balanced_sampling: Draw all classes equally often.
        cache: Where pictures are kept from one epoch to the next, and how many GB of them.
    """

    datasets: dict[Split, ImageDataset]
    photographs: PhotographDataset | None
    batch_size: int
    num_workers: int | None
    timeout: float
    image_size: int
    eval_size: int
    balanced_sampling: bool
    cache: Kind
    cache_dir: str | None
    cache_gb: float | None
    _cache_folder: CacheFolder | None = None

    @property
    def not_validated(self) -> str | None:
        """Why there are no validation images, known before ``setup``; None if there are."""
        return None

    @property
    def has_test(self) -> bool:
        """Whether there are images to be tested on, as far as is known."""
        return True

    @property
    def predicting(self) -> bool:
        """Whether the trainer predicts, for which no labelled data are needed."""
        return self.trainer is not None and self.trainer.state.fn == "predict"

    def labels(self, split: Split) -> npt.NDArray[np.int64]:
        """Return the labels of a split, after ``setup``.

        Args:
            split: The split.

        Returns:
            Class indices, int64 of shape (n,).

        Raises:
            MisconfigurationException: If it has no labels.
        """
        labels = self.datasets[split].samples.labels
        if labels is None:
            raise MisconfigurationException(f"The {split} split has no labels.")
        return labels

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled, augmented batches of equal size.

        Returns:
            Batches of images, uint8 (batch, 3, size, size), and labels, int64 (batch,).

        Raises:
            MisconfigurationException: If the batch doesn't divide among the devices or exceeds the training set.
        """
        replicas, _ = self._devices()
        if self.batch_size % replicas:
            raise MisconfigurationException(
                f"data.batch_size is {self.batch_size}, which {replicas} devices can't share equally."
            )
        dataset = self.datasets["train"]
        if len(dataset) < self.batch_size:
            raise MisconfigurationException(
                f"data.batch_size is {self.batch_size}, but there {'is' if len(dataset) == 1 else 'are'} only "
                f"{len(dataset)} training image{'s' * (len(dataset) != 1)}: lower it."
            )
        share = self.batch_size // replicas
        sampler = self._train_sampler(lambda: share * self._batches_done())
        persistent = self._workers() > 0
        return self._loader(dataset, sampler=sampler, batch_size=share, drop_last=True, persistent_workers=persistent)

    def _train_sampler(self, done: Callable[[], int]) -> ShuffledSampler:
        replicas, rank = self._devices()
        dataset = self.datasets["train"]
        labels = self.labels("train") if self.balanced_sampling else None
        return ShuffledSampler(dataset, dataset.seed, replicas, rank, labels, done)

    def training_files(self, epoch: int, batch: int) -> list[str]:
        """List the files of a training batch on this device.

        Args:
            epoch: The epoch, counted from 0.
            batch: The batch's number in its epoch.

        Returns:
            Their paths.
        """
        sampler = self._train_sampler(lambda: 0)
        sampler.set_epoch(epoch)
        share = self.batch_size // sampler.num_replicas
        keys = islice(sampler, share * batch, share * (batch + 1))
        return [str(self.datasets["train"].samples.files[key.sample]) for key in keys]

    def val_dataloader(self) -> EVAL_DATALOADERS:
        """Every validation sample once, in equally many batches per device.

        Returns:
            Batches of images, uint8 (batch, 3, size, size), and labels, int64 (batch,); an empty list, for Lightning to
            validate nothing, if there are no validation images.
        """
        if "val" not in self.datasets and self.not_validated:
            return []
        return self._sharded_loader(self.datasets["val"], persistent_workers=self._workers() > 0)

    def test_dataloader(self) -> DataLoader[Any]:
        """Every test sample once.

        Returns:
            Batches of images, uint8 (batch, 3, size, size), and labels, int64 (batch,).
        """
        return self._sharded_loader(self.datasets["test"])

    def predict_dataloader(self) -> DataLoader[Any]:
        """Every photograph once.

        Returns:
            Batches of images, uint8 (batch, 3, size, size), and of ``Reading``: files and reasons as sequences of
            strings, positions as int64 of shape (batch,).
        """
        assert self.photographs is not None
        return self._sharded_loader(self.photographs)

    def _sharded_loader(self, dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
        replicas, rank = self._devices()
        sampler = ShardSampler(dataset, replicas, rank)
        return self._loader(dataset, sampler=sampler, batch_size=max(1, self.batch_size // replicas), **options)

    def _loader(self, dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
        workers = self._workers()
        loader = DeferredLoader(
            dataset,
            num_workers=workers,
            timeout=self.timeout if workers else 0,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
            worker_init_fn=begin_worker,
            collate_fn=collate,
            **options,
        )
        loader.slot_size = int(options["batch_size"]) * self._bytes_of_an_image
        if self._cache_folder is not None:
            loader.before_epoch = self._cache_folder.tell_if_full
        return loader

    @property
    def _bytes_of_an_image(self) -> int:
        return 3 * max(self.image_size, self.eval_size) ** 2

    def choose_workers(self, devices: int, computed_elsewhere: bool) -> WorkerCount:
        """Choose the number of loading processes that ``num_workers`` leaves open.

        Args:
            devices: Devices of this machine.
            computed_elsewhere: Whether they are GPUs.

        Returns:
            The number for each device.
        """
        batch = self._bytes_of_an_image * max(1, self.batch_size // devices)
        return choose_workers(devices, computed_elsewhere, batch)

    @property
    def _cache_limit(self) -> int | None:
        return None if self.cache_gb is None else int(self.cache_gb * 1e9)

    def _picture_cache(self) -> PictureCache | None:
        if self.cache == "none":
            return None
        if self._cache_folder is None:
            self._cache_folder = CacheFolder(self.cache, self.cache_dir, self._cache_limit)
        devices = self.trainer.num_devices if self.trainer else 1
        return self._cache_folder.cache(2 * devices * max(1, self._workers()))  # those of training and of validation

    def _workers(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        if self.trainer is None:
            return self.choose_workers(1, computed_elsewhere=False).number
        return self.choose_workers(self.trainer.num_devices, self.trainer.strategy.root_device.type != "cpu").number

    def _batches_done(self) -> int:
        return self.trainer.fit_loop.epoch_loop.batch_progress.current.ready if self.trainer else 0

    def _devices(self) -> tuple[int, int]:
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
