"""A PyTorch data set over photographs to classify, in which unreadable files don't affect the others."""

from typing import NamedTuple

import albumentations as A
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.loading.collate import OneByOne
from datamodules.loading.prepared_picture import black, prepared
from datamodules.loading.sampler_key import PADDING
from datamodules.reading.boxes import widened
from datamodules.reading.image_reader import Box, UnreadableImageError, read_image


class Photograph(NamedTuple):
    """A photograph to classify, or what was named in its place.

    Attributes:
        file: The path as it was named or found.
        box: Part to cut out (left, top, right, bottom) in pixels, counting from 0, right and bottom exclusive.
        reason: Why there is nothing to classify; empty if the file is yet to be read.
    """

    file: str
    box: Box | None = None
    reason: str = ""


class Reading(NamedTuple):
    """What comes with the pixels of a photograph, from the loading process into the batch.

    Attributes:
        file: The photograph; empty for what only fills the batch of a device that has one less than others.
        error: Why it couldn't be read and its pixels are black; empty if it could.
        position: Its position in the data set, counting from 0.
    """

    file: str = ""
    error: str = ""
    position: int = PADDING


class PhotographDataset(OneByOne, Dataset[tuple[Tensor, Reading]]):
    """Decodes and prepares photographs.

    Args:
        photographs: The photographs.
        transform: Albumentations pipeline that ends at one fixed size; what is random in it follows from the picture.
        box_margin: Cut those with a box out along it, with this share of its width and height around it on every side;
            None leaves all whole.
    """

    def __init__(self, photographs: list[Photograph], transform: A.Compose, box_margin: float | None = None) -> None:
        self.photographs = photographs
        self.transform = transform
        self.box_margin = box_margin

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> tuple[Tensor, Reading]:
        """Load one photograph.

        Args:
            index: Its position, or ``PADDING``.

        Returns:
            The picture, uint8 of shape (3, height, width), black if it can't be read, and what is known about it.
        """
        if index == PADDING:
            return black(self.transform), Reading()
        file, box, reason = self.photographs[index]
        if not reason:
            try:
                margin = self.box_margin
                image = read_image(file, None if box is None or margin is None else widened(box, margin))
                return prepared(self.transform, image), Reading(file, "", index)
            except UnreadableImageError as error:
                reason = error.reason
        return black(self.transform), Reading(file, reason, index)
