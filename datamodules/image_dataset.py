"""A PyTorch data set over a list of image files."""

from typing import NamedTuple

import albumentations as A
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.image_reader import Image, read_image
from datamodules.samples import Samples


class Draw(NamedTuple):
    """What a sampler asks for: a sample, as it is to be seen in a certain epoch, for the first time or once more."""

    epoch: int
    sample: int
    repetition: int = 0


class ImageDataset(Dataset[tuple[Tensor, int | str]]):
    """Decodes, crops and augments images.

    The augmentation of a sample depends on the seed, the epoch and the sample's index alone. Albumentations by itself
    gives every DataLoader worker the same random stream and repeats it each epoch (albumentations #2473), so the
    pipeline is seeded anew for every sample; batches are then the same with any number of workers or devices.

    Args:
        samples: Files, labels and boxes. Without labels, an item carries its file name in the label's place.
        transform: Albumentations pipeline that ends at one fixed size.
        seed: Seed of the augmentations.
        crop_to_box: Cut the picture out along its annotated box.
        box_margin: Share of the box's width and height that stays around it on every side.
        upright: Turn pictures as their EXIF orientation asks.
    """

    def __init__(
        self,
        samples: Samples,
        transform: A.Compose,
        seed: int = 0,
        crop_to_box: bool = False,
        box_margin: float = 0.0,
        upright: bool = True,
    ) -> None:
        self.samples = samples
        self.transform = transform
        self.seed = seed
        self.crop_to_box = crop_to_box
        self.box_margin = box_margin
        self.upright = upright

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, draw: Draw | int) -> tuple[Tensor, int | str]:
        """Load one sample.

        Args:
            draw: Epoch, index and repetition, or the index alone for the first time in epoch 0.

        Returns:
            The image, uint8 of shape (3, height, width), and its label (or its file, where there are no labels).

        Raises:
            MisconfigurationException: If the image can't be read or the pipeline doesn't return RGB uint8.
        """
        epoch, index, repetition = draw if isinstance(draw, tuple) else Draw(0, draw)
        key = (self.seed, epoch, index, repetition) if repetition else (self.seed, epoch, index)
        state = np.random.SeedSequence(key).generate_state(1)
        self.transform.set_random_seed(int(state[0]))
        image = self.transform(image=self.read(index))["image"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise MisconfigurationException(
                f"The image transforms have to return uint8 of shape (height, width, 3), not {image.dtype} of shape "
                f"{tuple(image.shape)}: leave Normalize and ToTensorV2 out, the network does their work."
            )
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        labels = self.samples.labels
        return pixels, str(self.samples.files[index]) if labels is None else int(labels[index])

    def read(self, index: int) -> Image:
        """Read one picture, cut out along its box if that is asked for, without augmentation.

        Args:
            index: Position in the samples.

        Returns:
            The picture, uint8 of shape (height, width, 3), RGB.
        """
        image = read_image(self.samples.files[index], upright=self.upright)
        if not self.crop_to_box or self.samples.boxes is None:
            return image
        height, width = image.shape[:2]
        x1, y1, x2, y2 = (int(value) for value in self.samples.boxes[index])
        margin_x, margin_y = round(self.box_margin * (x2 - x1)), round(self.box_margin * (y2 - y1))
        left, top = max(0, x1 - margin_x), max(0, y1 - margin_y)
        right, bottom = min(width, x2 + margin_x), min(height, y2 + margin_y)
        if left >= right or top >= bottom:
            raise MisconfigurationException(
                f"The box {(x1, y1, x2, y2)} of {self.samples.files[index]} lies outside of the {width}x{height} image."
            )
        return image[top:bottom, left:right]
