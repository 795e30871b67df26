"""The drawn cars in class folders, and ``train.py check`` on them.

Tests import the fixtures as ``photos as photos``, since they ask for them by name alone.
"""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from datamodules import ImageFolderDataModule
from train import main

Check = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture
def photos(toy_data: Callable[..., ImageFolderDataModule], tmp_path: Path) -> Path:
    """The drawn cars in class folders."""
    data, root = toy_data(), tmp_path / "photos"
    splits: list[Literal["train", "val", "test"]] = ["train", "val", "test"]
    for split in splits:
        samples = data.samples(split)
        assert samples.labels is not None
        for file, label in zip(samples.files, samples.labels, strict=True):
            target = root / split / data.class_names[label] / Path(str(file)).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return root


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run the command, and return its exit code and the problems it wrote down."""

    def call(root: Path, *extra: str, module: str = "ImageFolderDataModule") -> tuple[int, list[dict[str, str]]]:
        code = 0
        try:
            data = (f"--data=datamodules.{module}", f"--data.root={root}")
            main(["check", *data, f"--output={tmp_path / 'out'}", *extra])
        except SystemExit as stop:
            code = int(str(stop.code))
        with (tmp_path / "out/problems.csv").open() as file:
            return code, list(csv.DictReader(file))

    return call


def titles(problems: list[dict[str, str]], severity: str) -> set[str]:
    return {row["problem"] for row in problems if row["severity"] == severity}


def images(folder: Path, split: str) -> list[Path]:
    return sorted((folder / split).rglob("*.jpg"))
