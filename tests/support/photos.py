"""Small photographs for tests, different for each seed and never nearly the same."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


def class_folders(root: Path, names: Iterable[str], each: int = 10, first: int = 0) -> Path:
    for number, name in enumerate(names):
        for index in range(each):
            picture(root / name / f"{index}.jpg", seed=first + 1000 * number + index)
    return root
