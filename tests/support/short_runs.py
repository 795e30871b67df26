"""Runs that leave out what takes long, and what they reached."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

Fit = Callable[..., Path]
QUICK = ["--previews.enabled=false", "--tta.enabled=false"]


def scores(folder: Path) -> dict[str, float | str]:
    found: dict[str, float | str] = json.loads((folder / "test_scores.json").read_text())
    return found


def epoch_of(folder: Path, name: str = "last") -> int:
    return int(torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)["epoch"])
