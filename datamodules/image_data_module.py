"""The base of all data modules: transforms, seeds, splits and the photographs to predict."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import albumentations as A
import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.cache.cache_folder import Kind
from datamodules.check_range import check_range
from datamodules.image_dataset import ImageDataset
from datamodules.loading_data_module import LoadingDataModule, Split
from datamodules.once_a_node import once_a_node
from datamodules.photographs.photograph_dataset import PhotographDataset
from datamodules.photographs.photograph_search import list_photographs, tell_boxes
from datamodules.pipelines import as_plain_dict, compose, default_eval_steps, default_train_steps
from datamodules.preview import Row, preview_rows
from datamodules.random_relative_crop import sized
from datamodules.reading.image_reader import Image, UnreadableImageError
from datamodules.samples import Samples
from datamodules.scored_samples import scored_samples
from datamodules.skipped_images import SkippedImages

_SPLITS_OF_STAGE: dict[str | None, tuple[Split, ...]] = {
    None: ("train", "val", "test"),
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
}


class ImageDataModule(LoadingDataModule, ABC):
    """Base of the data modules; a new one names its classes and lists the samples of its splits.

    Args:
        image_size: Side of the square training images in pixels.
        eval_scale: Side of the evaluation images as a multiple of ``image_size``. Random crops show objects larger in
            training than whole images do in evaluation; about 1.15 makes up for it (Touvron et al., Fixing the
            train-test resolution discrepancy, 2019). Vision transformers take 1 only.
        batch_size: Images per step over all devices together; each device takes an equal share.
        num_workers: Processes per device that load images; 0 loads them in the main process, null chooses for the
            cores and the shared memory of the machine.
        timeout: Seconds after which the command ends where loading processes deliver no batch, as when a disk or a
            server doesn't answer; 0 waits for ever.
        seed: Seed of shuffling and augmentation; null takes the run's seed (``seed_everything``).
        train_transforms: Albumentations steps for training; null takes the defaults. Where they end at another size
            than the configured one, a resize follows.
        eval_transforms: The same for validation, test and prediction.
        random_erasing: Probability of overwriting a part of a training image by noise (Zhong et al., 2020), the last
            step after ``train_transforms``.
        balanced_sampling: Draw training images, with repetition, so that all classes come equally often.
        predict_dir: What ``predict`` classifies, one or a list of: photographs, folders (sub-folders included),
            patterns (``**`` for any folders) and CSV lists. A list has a column ``path`` or ``file``, perhaps a box
            ``x1,y1,x2,y2``, or one column without a header; its paths are relative to its folder.
        on_error: What to do about an image that can't be read: ``raise`` an error that names it, or ``skip`` it. In
            training another image takes its place; evaluations leave it out. The number of skipped images is logged.
            ``predict`` always continues, and reports it.
        max_skipped: Largest share of a split's images that ``skip`` may skip; beyond it, the run stops.
        cache: Keep pictures as pixels for later epochs, shrunk to what training needs of them: ``ram``, in memory that
            all processes of the run share, or ``disk``, for later runs too; ``none`` decodes them in each epoch.
        cache_dir: Folder of ``disk``; null takes the user's cache folder.
        cache_gb: How large the cache may become, in GB; null takes half of the memory or disk that is free.
        unknown_classes: What ``validate`` and ``test`` do about images of classes that the checkpoint doesn't know:
            ``raise`` an error that names the classes, or ``skip`` the images and count them.
    """

    def __init__(
        self,
        image_size: int = 400,
        eval_scale: float = 1.0,
        batch_size: int = 32,
        num_workers: int | None = None,
        timeout: float = 600.0,
        seed: int | None = None,
        train_transforms: list[A.BasicTransform | A.BaseCompose] | None = None,
        eval_transforms: list[A.BasicTransform | A.BaseCompose] | None = None,
        random_erasing: float = 0.0,
        balanced_sampling: bool = False,
        predict_dir: str | list[str] | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        max_skipped: float = 0.01,
        cache: Kind = "none",
        cache_dir: str | None = None,
        cache_gb: float | None = None,
        unknown_classes: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__()
        check_range("image_size", image_size, 1, 8_192)
        check_range("batch_size", batch_size, 1)
        check_range("num_workers", num_workers or 0, 0, 1_024)
        check_range("timeout", timeout, 0, 1e6)
        check_range("eval_scale", eval_scale, 0.25, 4)
        check_range("random_erasing", random_erasing, 0, 1)
        check_range("max_skipped", max_skipped, 0, 1)
        check_range("seed", seed or 0, 0, 2**32 - 1)
        check_range("cache_gb", cache_gb or 0, 0, 1e6)
        self.image_size = image_size
        self.eval_size = round(image_size * eval_scale)
        self.batch_size, self.seed = batch_size, seed
        self.num_workers, self.timeout = num_workers, timeout
        self.balanced_sampling, self.predict_dir = balanced_sampling, predict_dir
        self.on_error, self.max_skipped = on_error, max_skipped
        self.cache, self.cache_dir, self.cache_gb = cache, cache_dir, cache_gb
        self.unknown_classes, self.trained_elsewhere = unknown_classes, False
        self.index_of: Callable[[str], int | None] | None = None
        train_size, eval_size = default_eval_steps(image_size), default_eval_steps(self.eval_size)
        steps = [*train_transforms, *train_size] if train_transforms is not None else default_train_steps(image_size)
        train_steps = [sized(step, image_size) for step in steps]
        erasing = [A.Erasing(scale=(0.02, 1 / 3), fill="random", p=random_erasing)] if random_erasing else []
        self.train_pipeline = compose([*train_steps, *erasing])
        self.eval_pipeline = compose(eval_size if eval_transforms is None else [*eval_transforms, *eval_size])
        self.datasets: dict[Split, ImageDataset] = {}
        self.photographs: PhotographDataset | None = None

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Names of the classes in the order of their indices; known before ``setup``."""

    @abstractmethod
    def samples(self, split: Literal["train", "val", "test"]) -> Samples:
        """List one split's files and labels.

        Args:
            split: The split.

        Returns:
            Its samples.

        Raises:
            MisconfigurationException: If files that the split needs are missing.
        """

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The evaluation pipeline as plain values, to be stored beside the weights."""
        return as_plain_dict(self.eval_pipeline)

    @property
    def crop_margin(self) -> float | None:
        """Margin of the boxes that pictures are cut out along; None leaves them whole."""
        return None

    def relabel(self, index_of: Callable[[str], int | None], trained_elsewhere: bool = False) -> None:
        """Label validation and test images as a trained network does, whichever of its classes there are.

        Args:
            index_of: Finds the network's index of one of ``class_names``; None where it doesn't know the class.
            trained_elsewhere: Whether the network was trained on data of another place: then all images of a set that
                isn't divided are new to it.
        """
        self.index_of = index_of
        self.trained_elsewhere = trained_elsewhere

    def setup(self, stage: str | None = None) -> None:
        """Build the data sets that a stage needs, and no others.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``; None builds those of ``fit`` and ``test``.

        Raises:
            MisconfigurationException: If files are missing, a split is empty, or its classes aren't the network's.
        """
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if self.seed is None else self.seed
        if stage == "predict":
            found = list_photographs(self.predict_dir, cropping=self.crop_margin is not None)
            tell_boxes(found, self.crop_margin)
            self.photographs = PhotographDataset(found, self.eval_pipeline, self.crop_margin)
            return
        for split in _SPLITS_OF_STAGE[stage]:
            if split in self.datasets or (split == "val" and stage != "validate" and self.not_validated):
                continue
            samples = once_a_node(partial(self._used_samples, split), self.trainer)
            keep = np.arange(len(samples)) if samples.labels is None else samples.labelled()
            self.datasets[split] = self.make_dataset(
                split,
                samples,
                transform=self.train_pipeline if split == "train" else self.eval_pipeline,
                seed=seed if split == "train" else None,
                box_margin=self.crop_margin,
                skipped=SkippedImages(split, len(keep), self.max_skipped) if self.on_error == "skip" else None,
                replace=split == "train",
                keep=None if len(keep) == len(samples) else keep,
                cache=self._picture_cache() if stage in (None, "fit") and split != "test" else None,
            )

    def _used_samples(self, split: Split) -> Samples:
        samples = self.samples(split)
        if not len(samples):
            reason = f": {self.not_validated}" if split == "val" and self.not_validated else ""
            raise MisconfigurationException(f"The {split} split has no images{reason}.")
        score = partial(scored_samples, split, samples, self.class_names, self.index_of, self.unknown_classes)
        return samples if split == "train" else score()

    def make_dataset(self, split: Split, samples: Samples, **options: Any) -> ImageDataset:
        """Build the data set of a split; ``options`` are further arguments of ``ImageDataset``."""
        del split
        return ImageDataset(samples, **options)

    def stored_files(self, split: Split) -> Callable[[int], bytes] | None:
        """Find how to read the files of ``samples`` by their positions; None: they lie under their names."""
        del split
        return None

    def skipped(self, split: Split) -> Tensor | None:
        """Flag the images of a split that couldn't be read so far on this device, bool (n,); None: none are skipped."""
        skipped = self.datasets[split].skipped
        return None if skipped is None else skipped.flags

    def evaluated_files(self, split: Split) -> list[str]:
        """List the pictures of an evaluation in the order in which samplers deal them out, after ``setup``."""
        return [str(file) for file in self.datasets[split].samples.files]

    def evaluated_picture(self, split: Split, index: int) -> tuple[Image, Image] | None:
        """Read a picture of an evaluation, after ``setup``.

        Args:
            split: The split.
            index: Its number in ``evaluated_files``.

        Returns:
            The picture, cut out along its box if that is asked for, and what the network is given of it, both uint8 of
            shape (height, width, 3), RGB; None if it can't be read.
        """
        dataset = self.datasets[split]
        try:
            original = dataset.read(index)
        except UnreadableImageError:
            return None
        return original, dataset[index][0].permute(1, 2, 0).numpy()

    def other_pictures(self, paths: Sequence[str]) -> DataLoader[Any]:
        """Load pictures that don't belong to the data set, prepared as in an evaluation.

        Args:
            paths: Files, folders, patterns and lists.

        Returns:
            This device's batches, as those of ``predict_dataloader``.
        """
        found = list_photographs([*paths], cropping=False)
        return self._sharded_loader(PhotographDataset(found, self.eval_pipeline))

    def preview(self, images: int, views: int) -> list[Row]:
        """Show training images and what augmentation makes of them, after ``setup``; see ``preview_rows``.

        Args:
            images: How many images, at most.
            views: How many views of each.

        Returns:
            Class name, original and views of each image, uint8 of shape (height, width, 3), RGB.
        """
        return preview_rows(self.datasets["train"], self.class_names, images, views)
