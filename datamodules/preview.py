"""Originals and their augmented views."""

from typing import TypeAlias

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.image_dataset import ImageDataset
from datamodules.loading.sampler_key import SamplerKey
from datamodules.reading.image_reader import Image, UnreadableImageError

_MOST_VIEWS = 100

Row: TypeAlias = tuple[str, Image, list[Image]]


def preview_rows(dataset: ImageDataset, class_names: list[str], images: int, views: int) -> list[Row]:
    """Show some images, of as many classes as possible, and what the pipeline makes of them.

    Args:
        dataset: Labelled images.
        class_names: Names of the classes.
        images: How many images, at most.
        views: How many views of each: those of the first epochs.

    Returns:
        Class name, original and views of each image, uint8 of shape (height, width, 3), RGB.

    Raises:
        MisconfigurationException: If a number is out of range, or an image can't be read and isn't to be skipped.
    """
    if images < 1 or not 1 <= views <= _MOST_VIEWS:
        raise MisconfigurationException(
            f"A preview of {images} images in {views} views: it takes one image and 1 to {_MOST_VIEWS} views."
        )
    labels = dataset.samples.labels
    assert labels is not None
    order = np.random.default_rng(dataset.seed).permutation(len(dataset))
    first = np.sort(np.unique(labels[order], return_index=True)[1])
    rows: list[Row] = []
    for index in np.concatenate([order[first], np.delete(order, first)]).tolist():
        try:
            original = dataset.read(index)
        except UnreadableImageError:
            if dataset.skipped is None:
                raise
            continue
        seen = [dataset[SamplerKey(epoch, index)][0].numpy().transpose(1, 2, 0) for epoch in range(views)]
        rows.append((class_names[labels[index]], original, seen))
        if len(rows) == images:
            break
    return rows
