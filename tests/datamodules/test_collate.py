"""Batches arrive in the layout that the network computes in."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import default_collate

from datamodules.loading.collate import AskedSamples, OneByOne, collate
from lightning_modules.networks import PixelNormalization


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("split", ["train", "val"])
def test_batches_are_channels_last(toy_data: Callable[..., Any], workers: int, split: str) -> None:
    data = toy_data(num_workers=workers, batch_size=8)
    data.prepare_data()
    data.setup("fit")
    images, labels = next(iter(getattr(data, f"{split}_dataloader")()))
    assert images.shape == (8, 3, 64, 64)
    assert images.dtype == torch.uint8
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert not images.is_contiguous()
    assert labels.dtype == torch.int64


def test_pixels_and_rest_are_those_of_pytorch() -> None:
    draw = torch.Generator().manual_seed(0)
    pictures = [torch.randint(0, 256, (5, 4, 3), generator=draw, dtype=torch.uint8).permute(2, 0, 1) for _ in range(6)]
    samples = [(picture, number) for number, picture in enumerate(pictures)]
    images, labels = collate(samples)
    expected_images, expected_labels = default_collate(samples)
    assert torch.equal(images, expected_images)
    assert torch.equal(labels, expected_labels)


def test_a_sample_is_gone_when_the_next_one_is_made() -> None:
    made: list[weakref.ref[torch.Tensor]] = []

    class Pictures(OneByOne):
        def __getitem__(self, key: int) -> tuple[torch.Tensor, int]:
            assert all(picture() is None for picture in made)
            picture = torch.full((3, 4, 5), key, dtype=torch.uint8)
            made.append(weakref.ref(picture))
            return picture, key

    samples = Pictures().__getitems__([3, 1, 2])
    assert isinstance(samples, AskedSamples)
    images, labels = collate(samples)
    assert labels.tolist() == images[:, 0, 0, 0].tolist() == [3, 1, 2]
    assert len(made) == 3


def test_pictures_of_several_sizes_are_no_batch() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5\) and \(5, 4\) pixels"):
        collate([(torch.zeros(3, 4, 5, dtype=torch.uint8), 0), (torch.zeros(3, 5, 4, dtype=torch.uint8), 1)])


def test_normalisation_leaves_the_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    normalize = PixelNormalization([0.5, 0.4, 0.3], [0.2, 0.2, 0.1])
    expected = normalize(images.contiguous())
    assert torch.equal(normalize(images), expected)
    assert normalize(images).is_contiguous(memory_format=torch.channels_last)
