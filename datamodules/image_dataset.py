"""A PyTorch data set over a list of image files."""

import json

import albumentations as A
import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.cache.picture_cache import PictureCache, key_of
from datamodules.loading.collate import OneByOne
from datamodules.loading.prepared_picture import as_tensor, black, prepared
from datamodules.loading.sampler_key import PADDING, SamplerKey
from datamodules.pipelines import as_plain_dict, augment
from datamodules.reading.boxes import widened
from datamodules.reading.image_reader import Box, Image, UnreadableImageError, read_image
from datamodules.reading.needed_pixels import NeededPixels, needed_pixels
from datamodules.samples import NO_LABEL, Samples
from datamodules.skipped_images import SkippedImages


class ImageDataset(OneByOne, Dataset[tuple[Tensor, int]]):
    """Decodes, crops and augments images.

    The augmentation of a sample depends on the seed, the epoch and the sample's index alone. Albumentations by itself
    gives every DataLoader worker the same random stream and repeats it each epoch (albumentations #2473), so the
    pipeline is seeded again for every sample; batches are then the same with any number of workers or devices.

    Args:
        samples: Files, labels and boxes.
        transform: Albumentations pipeline that ends at one fixed size.
        seed: Seed of the augmentations; None lets what is random follow from each picture alone, as in evaluations.
        box_margin: Cut pictures out along their boxes, with this share of the box's width and height around it on
            every side; None leaves them whole.
        skipped: Where unreadable images are noted; None raises their errors.
        replace: What comes in place of an unreadable image: another one, drawn as a function of the seed, the epoch
            and the sample, or, if False, a black one without a label, so that no other counts twice.
        keep: Positions of the samples to have, int64 of shape (m,); None keeps all.
        cache: Keeps pictures from one epoch to the next: what comes out of ``transform`` where it follows from the
            picture alone, else what it needs of the picture.

    Attributes:
        block: Number of samples that lie together, where random access is slow and shuffling should keep to blocks.
    """

    block: int | None = None

    def blocks_of(self, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Find the blocks of samples, where it pays to know them before the samples are asked for.

        Args:
            order: Indices of samples, int64 of shape (n,).

        Returns:
            Numbers of blocks, int64 of shape (n,); None where it doesn't pay.
        """
        del order
        return None

    def __init__(
        self,
        samples: Samples,
        transform: A.Compose,
        seed: int | None = 0,
        box_margin: float | None = None,
        skipped: SkippedImages | None = None,
        replace: bool = False,
        keep: npt.NDArray[np.int64] | None = None,
        cache: PictureCache | None = None,
    ) -> None:
        self.samples = samples if keep is None else samples.take(keep)
        self.transform = transform
        self.seed = seed or 0
        self.by_picture = seed is None
        self.box_margin = box_margin
        self.skipped = skipped
        self.replace = replace
        self.cache = cache
        self.needed = None if self.by_picture else needed_pixels(transform)
        if cache is not None:
            self._wanted = json.dumps(as_plain_dict(transform)) if self.by_picture else repr(self.needed)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: SamplerKey | int) -> tuple[Tensor, int]:
        """Load one sample.

        Args:
            key: Epoch, index and repetition, or the index alone for the first time in epoch 0.

        Returns:
            The image, uint8 of shape (3, height, width), and its label.

        Raises:
            MisconfigurationException: If the image can't be read or the pipeline doesn't return RGB uint8.
        """
        epoch, index, repetition, _ = key if isinstance(key, tuple) else SamplerKey(0, key)
        if index == PADDING:
            return black(self.transform), NO_LABEL
        random = None
        while True:
            seeds = (self.seed, epoch, index, repetition) if repetition else (self.seed, epoch, index)
            try:
                pixels = self._prepared(index, None if self.by_picture else seeds)
            except UnreadableImageError as error:
                if self.skipped is None:
                    raise
                self.skipped.note(index, error)
                if not self.replace:
                    return black(self.transform), NO_LABEL
                self.skipped.require_others(error)
                # one generator, since two unreadable images would draw each other by those of their own for ever
                random = random or np.random.default_rng((*seeds, 1))
                index = self._substitute(random)
                continue
            labels = self.samples.labels
            assert labels is not None
            return pixels, int(labels[index])

    def _substitute(self, random: np.random.Generator) -> int:
        """Draw another image, passing over those that are known to be unreadable, as reading them again would."""
        assert self.skipped is not None
        flags, other = self.skipped.flags, int(random.integers(len(self)))
        while flags[other] and not flags.all():  # other processes may find the last of them meanwhile
            other = int(random.integers(len(self)))
        return other

    def _prepared(self, index: int, seeds: tuple[int, ...] | None) -> Tensor:
        if self.cache is None:
            return prepared(self.transform, self.read(index, self.needed), seeds)
        key = key_of(str(self.samples.files[index]), self.box(index), self._wanted)
        if seeds is None:
            return as_tensor(self.cache.get(key, lambda: augment(self.transform, self.read(index))))
        return prepared(self.transform, self.cache.get(key, lambda: self._shrunk(index)), seeds)

    def _shrunk(self, index: int) -> Image:
        image = self.read(index, self.needed)
        return image if self.needed is None else self.needed.shrunk(image)

    def read(self, index: int, needed: NeededPixels | None = None) -> Image:
        """Read one picture, cut out along its box if that is asked for, without augmentation.

        Args:
            index: Position in the samples.
            needed: What it is for, if it may be decoded smaller.

        Returns:
            The picture, uint8 of shape (height, width, 3), RGB.
        """
        return read_image(self.samples.files[index], self.box(index), needed)

    def box(self, index: int) -> Box | None:
        """Compute the part of a picture to cut out.

        Args:
            index: Position in the samples.

        Returns:
            The box with its margin (left, top, right, bottom) in pixels, or None for the whole picture.
        """
        boxes = self.samples.boxes
        if self.box_margin is None or boxes is None:
            return None
        x1, y1, x2, y2 = (int(value) for value in boxes[index])
        return widened((x1, y1, x2, y2), self.box_margin)
