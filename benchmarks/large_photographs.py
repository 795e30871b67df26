"""Measures how fast large photographs are loaded: each time again, and from the cache.

python -m benchmarks.large_photographs [--width 4000 --height 3000] [--images 48] [--image-size 400]

The photographs are drawn and saved as JPEG. "decoded whole" is the loader without what this project does about large
pictures; "decoded smaller" is the default; "ram" and "disk" are data.cache from the second epoch on. Each side is one
loading process's work without the transport: reading, cropping, flipping, jittering.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measuring.turns import Side, arguments, report, take_turns
from datamodules import ImageFolderDataModule
from datamodules.loading.sampler_key import SamplerKey


def draw(root: Path, width: int, height: int, images: int) -> None:
    """Save photographs of coloured noise that falls with frequency, as that of photographs does.

    Args:
        root: Folder to make, with ``train/CLASS`` and ``val/CLASS``.
        width: In pixels.
        height: In pixels.
        images: How many, all of them different.
    """
    random = np.random.default_rng(0)
    for number in range(images):
        image = np.zeros((height, width, 3), np.float32)
        for octave in range(2, 9):
            coarse = random.normal(0, 60 / octave, (height >> octave, width >> octave, 3)).astype(np.float32)
            image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        pixels = np.clip(image + 128, 0, 255).astype(np.uint8)
        for part in ("train", "val") if number < 4 else ("train",):
            folder = root / part / f"class {number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{part}{number}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])


def loaded(root: Path, image_size: int, kind: str, folder: str, whole: bool = False) -> float:
    """Count the images a second of one core.

    Args:
        root: What ``draw`` made.
        image_size: Side of the training images.
        kind: ``data.cache``.
        folder: ``data.cache_dir``.
        whole: Decode all pixels of each picture.

    Returns:
        Images a second, in the second epoch.
    """
    data = ImageFolderDataModule(
        root=str(root), image_size=image_size, cache=kind, cache_dir=folder, num_workers=0, keep_equal_together=False
    )
    data.setup("fit")
    dataset = data.datasets["train"]
    if whole:
        dataset.needed = None
    for epoch in range(2):
        began = time.perf_counter()
        for index in range(len(dataset)):
            dataset[SamplerKey(epoch, index)]
    return len(dataset) / (time.perf_counter() - began)


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--image-size", type=int, default=400)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as name:
        draw(Path(name, "photographs"), options.width, options.height, options.images)
        measure = partial(loaded, Path(name, "photographs"), options.image_size)
        sides = [
            Side("decoded whole", partial(measure, "none", name, whole=True)),
            Side("decoded smaller", partial(measure, "none", name)),
            Side("ram", partial(measure, "ram", name)),
            Side("disk", partial(measure, "disk", str(Path(name, "cache")))),
        ]
        values = take_turns(sides, options.rounds)
    title = f"Loading photographs of {options.width}x{options.height} at {options.image_size} px, one core"
    report(title, "images/s", values, "decoded whole", options.json)


if __name__ == "__main__":
    main()
