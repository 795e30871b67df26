"""The colour jitter against torchvision's."""

import random
from collections.abc import Callable
from typing import Any

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torchvision.transforms.v2 import functional

from datamodules.color_jitter import ColorJitter, adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation

Image = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def picture() -> Image:
    """Smooth areas of all colours, black and white among them, and noise as of a camera."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(-60, 316, (12, 15, 3)).clip(0, 255).astype(np.uint8)
    smooth = cv2.resize(coarse, (150, 120), interpolation=cv2.INTER_CUBIC).astype(int)
    return (smooth + draw.normal(0, 3, smooth.shape)).clip(0, 255).astype(np.uint8)


def planes(image: Image) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def difference(mine: Image, theirs: torch.Tensor) -> npt.NDArray[Any]:
    return np.asarray(np.abs(mine.astype(int) - theirs.permute(1, 2, 0).numpy().astype(int)))


@pytest.mark.parametrize("factor", [0.6, 0.8, 0.95, 1.0, 1.1, 1.4])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (adjust_brightness, functional.adjust_brightness),
        (adjust_contrast, functional.adjust_contrast),
        (adjust_saturation, functional.adjust_saturation),
    ],
)
def test_each_step_is_torchvisions(
    picture: Image, mine: Callable[..., Any], theirs: Callable[..., Any], factor: float
) -> None:
    assert difference(mine(picture, factor), theirs(planes(picture), factor)).max() <= 1  # which cuts off, not rounds


@pytest.mark.parametrize("turn", [-0.5, -0.1, -0.02, 0.0, 0.02, 0.25, 0.5])
def test_the_hue_is_torchvisions_within_its_256_steps(picture: Image, turn: float) -> None:
    found = difference(adjust_hue(picture, turn), functional.adjust_hue(planes(picture), turn))
    assert found.max() <= 10
    assert found.mean() <= 1


def test_the_whole_is_torchvisions(picture: Image) -> None:
    names = ("brightness", "contrast", "saturation", "hue")
    step = ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=(-0.1, 0.1), p=1)
    step.set_random_state(np.random.default_rng(1), random.Random(1))  # noqa: S311
    for _ in range(20):
        params = step.get_params()
        expected = planes(picture)
        for number in params["order"]:
            adjust = getattr(functional, f"adjust_{names[number]}")
            expected = adjust(expected, params[names[number]])
        found = difference(step.apply(picture, **params), expected)
        assert found.mean() <= 2
        assert np.quantile(found, 0.999) <= 16


def test_it_draws_what_albumentations_draws(picture: Image) -> None:
    arguments: dict[str, Any] = {
        "brightness": (0.8, 1.2),
        "contrast": (0.8, 1.2),
        "saturation": (0.8, 1.2),
        "hue": (-0.02, 0.02),
        "p": 0.5,
    }
    mine, theirs = A.Compose([ColorJitter(**arguments)]), A.Compose([A.ColorJitter(**arguments)])
    for seed in range(12):
        for pipeline in (mine, theirs):
            pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311
        one, other = mine(image=picture)["image"], theirs(image=picture)["image"]
        assert np.array_equal(one, picture) == np.array_equal(other, picture)
        assert np.abs(one.astype(int) - other).mean() <= 3


def test_red_stays_red() -> None:
    red = np.full((8, 8, 3), (200, 20, 30), np.uint8)
    for turn in (-0.02, 0.02):
        changed = adjust_hue(red, turn)[0, 0]
        assert changed[0] == changed.max()
        assert changed[0] > 2 * max(changed[1:])


def test_other_pictures_are_left_to_albumentations() -> None:
    gray = np.full((8, 8, 1), 90, np.uint8)
    assert A.Compose([ColorJitter(p=1)])(image=gray)["image"].shape == (8, 8, 1)
    assert A.Compose([ColorJitter(p=1)])(image=np.full((8, 8, 3), 0.3, np.float32))["image"].dtype == np.float32


def test_it_is_stored_by_plain_values() -> None:
    pipeline = A.Compose([ColorJitter(hue=(-0.1, 0.1), p=1)])
    again = A.from_dict(pipeline.to_dict())
    assert type(again.transforms[0]) is ColorJitter
    assert again.transforms[0].hue == (-0.1, 0.1)
