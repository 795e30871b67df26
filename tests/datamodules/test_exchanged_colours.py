"""Whether red and blue may be exchanged: said of sets that are, never of right ones."""

import contextlib
import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from datamodules import ToyCarsDataModule
from datamodules.check.exchanged_colours import ColourBalance, colour_balance, exchanged_colours
from datamodules.reading.image_reader import read_image
from train import main

TITLE = "red and blue may be exchanged"


def landscape(number: int) -> npt.NDArray[np.uint8]:
    """A blue sky over brown earth with a red thing in it."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 30, (44, 60, 3)).astype(np.uint8)
    pixels[:22] += np.array([80, 130, 210], np.uint8)
    pixels[22:] += np.array([130, 100, 60], np.uint8)
    x, y = random.integers(0, 45), random.integers(20, 30)
    pixels[y : y + 12, x : x + 14] = random.integers(0, 40, 3) + np.array([190, 10, 10])
    return pixels


def test_a_set_of_exchanged_pictures_is_reported_with_examples(tmp_path: Path) -> None:
    answers = {}
    for name, order in (("right", 1), ("exchanged", -1)):
        for number in range(40):
            path = tmp_path / name / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(landscape(number)[..., ::order])).save(path)
        out = tmp_path / f"out {name}"
        with contextlib.suppress(SystemExit):  # such pictures are nearly the same
            main(
                [
                    "check",
                    "--data=datamodules.ImageFolderDataModule",
                    f"--data.root={tmp_path / name}",
                    f"--output={out}",
                ]
            )
        with (out / "problems.csv").open() as file:
            answers[name] = [row for row in csv.DictReader(file) if row["problem"] == TITLE]
    assert not answers["right"]
    assert len(answers["exchanged"]) == 6
    assert {row["severity"] for row in answers["exchanged"]} == {"warning"}
    page = (tmp_path / "out exchanged/report.html").read_text()
    section = page[page.index(f"warning: {TITLE}") :].split("<h2")[0]
    assert "Strong blue prevails in 40 of 40 images, strong red in 0" in section
    pictures = re.findall(r'src="(data:[^"]+)"', section)
    assert len(pictures) == len(set(pictures)) == 12
    assert section.count('alt="with red and blue exchanged"') == 6


def test_drawn_cars_have_the_right_colours(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    data = toy_data()
    balances = [colour_balance(read_image(file)) for split in ("train", "test") for file in data.samples(split).files]
    assert exchanged_colours(balances) is None


def test_blue_things_below_a_blue_sky_are_right() -> None:
    sky = [ColourBalance(0.0, 0.1, tilt) for tilt in np.linspace(-60, -20, 100)]
    assert exchanged_colours(sky) is None
    assert exchanged_colours([ColourBalance(0.0, 0.1, -balance.tilt) for balance in sky]) is not None


def test_few_or_colourless_pictures_say_nothing() -> None:
    blue = ColourBalance(0.0, 0.2, 30.0)
    assert exchanged_colours([blue] * 29) is None
    assert exchanged_colours([blue] * 30) is not None
    assert exchanged_colours([ColourBalance(0.0, 0.0, 0.0)] * 100) is None


def test_photographs_are_told_from_exchanged_ones(stanford_cars_root: Path) -> None:
    files = sorted((stanford_cars_root / "cars_train").glob("*.jpg"))[:300]
    images = [read_image(file) for file in files]
    right = [colour_balance(image) for image in images]
    exchanged = [colour_balance(np.ascontiguousarray(image[..., ::-1])) for image in images]
    random = np.random.default_rng(0)
    for size, least in ((60, 95), (200, 100)):
        choices = [random.choice(len(files), size, replace=False) for _ in range(100)]
        assert sum(exchanged_colours([right[index] for index in choice]) is not None for choice in choices) == 0
        found = [exchanged_colours([exchanged[index] for index in choice]) is not None for choice in choices]
        assert sum(found) >= least


@pytest.mark.parametrize("side", [1, 2, 31, 33, 500])
def test_pictures_of_any_size_have_a_balance(side: int) -> None:
    red = np.full((side, side, 3), (200, 20, 20), np.uint8)
    assert colour_balance(red) == ColourBalance(1.0, 0.0, 0.0)
    assert colour_balance(red[..., ::-1].copy()) == ColourBalance(0.0, 1.0, 0.0)
