"""Photographs passed by a program, as files or pictures in memory, in any mixture."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import albumentations as A
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.files.path_spelling import url_refusal
from datamodules.loading.collate import collate
from datamodules.loading.deferred_loader import begin_worker
from datamodules.loading.prepared_picture import black, prepared
from datamodules.reading.image_reader import Image, UnreadableImageError, read_image
from datamodules.reading.pictures_in_memory import from_memory

GivenPhotograph: TypeAlias = str | Path | Pillow.Image | npt.NDArray[Any] | Tensor

_IN_MEMORY = (Pillow.Image, np.ndarray, Tensor)
_NO_LISTS = (str, os.PathLike, bytes, bytearray, Mapping)


class GivenPhotographs(Dataset[tuple[Tensor, str]]):
    """Reads and prepares photographs.

    Args:
        photographs: Paths, pictures of Pillow, arrays and tensors, as ``from_memory`` takes them.
        transform: Albumentations pipeline that ends at one fixed size, used by one thread at a time; what is random in
            it follows from the picture.
        name: What to call one of them that has no path, in messages; ``{}`` stands for its position.
    """

    def __init__(self, photographs: Sequence[GivenPhotograph], transform: A.Compose, name: str) -> None:
        # a loading process can't take a tensor from a GPU
        self.photographs = [given.cpu() if isinstance(given, Tensor) else given for given in photographs]
        self.transform = transform
        self.name = name

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        """Load one photograph.

        Args:
            index: Its position.

        Returns:
            The picture, uint8 of shape (3, height, width), and nothing; or a black one, and why it can't be read.
        """
        try:
            image = read_given(self.photographs[index], self.name.format(index))
            return prepared(self.transform, image), ""
        except UnreadableImageError as error:
            return black(self.transform), str(error)

    def batches(self, batch_size: int, num_workers: int) -> Iterator[Tensor]:
        """Load all of them, in their order.

        Args:
            batch_size: Photographs of a batch.
            num_workers: Loading processes; 0 loads in this one.

        Yields:
            Pictures, uint8 of shape (batch, 3, height, width).

        Raises:
            UnreadableImageError: If one can't be read.
        """
        loader = DataLoader(
            self,
            batch_size=batch_size,
            num_workers=num_workers,
            worker_init_fn=begin_worker,
            collate_fn=collate,
            generator=torch.Generator(),  # else it would take a number from the program's own
        )
        for images, errors in loader:
            for error in filter(None, errors):
                raise UnreadableImageError(error)
            yield images


def are_several(given: object) -> bool:
    """Distinguish several photographs from a single one.

    Args:
        given: What was handed over.

    Returns:
        Whether it can be taken for a list of photographs.
    """
    return isinstance(given, Iterable) and not isinstance(given, (*_IN_MEMORY, *_NO_LISTS))


def read_given(photograph: GivenPhotograph, name: str) -> Image:
    """Read a photograph.

    Args:
        photograph: A path or a picture in memory.
        name: What to call it in messages, if it has no path.

    Returns:
        The picture, uint8 of shape (height, width, 3), RGB, upright.

    Raises:
        UnreadableImageError: If it can't be read, or is something else.
    """
    if isinstance(photograph, _IN_MEMORY):
        return from_memory(photograph, name)
    if not isinstance(photograph, str | os.PathLike):
        raise UnreadableImageError(
            f"{name} is of the type {type(photograph).__name__}: give the path of a file, a PIL picture, a NumPy array "
            "or a tensor."
        )
    path = os.fspath(photograph)
    refusal = url_refusal(path)
    if refusal:
        raise UnreadableImageError(f"{path} {refusal}.")
    return read_image(os.path.expanduser(path))  # noqa: PTH111 - Path refuses names without a home
