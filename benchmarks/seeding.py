"""Measures what it costs that every sample's augmentation follows from (seed, epoch, sample).

python benchmarks/seeding.py --root ROOT

Both sides run alternately in one process: the data set as it is, and the same without seeding.
"""

import argparse
import statistics
import time
from typing import Any
from unittest.mock import patch

import cv2

from datamodules import StanfordCarsDataModule, image_dataset
from datamodules.image_dataset import Draw


def unseeded(pipeline: Any, image: Any, key: tuple[int, ...]) -> Any:
    """Run a pipeline with whatever random numbers come next; arguments as in ``augment``."""
    del key
    return pipeline(image=image)["image"]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="Stanford Cars")
    parser.add_argument("--image-size", type=int, default=400)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    data = StanfordCarsDataModule(root=options.root, image_size=options.image_size)
    data.setup("fit")
    dataset = data.datasets["train"]

    def seconds(epoch: int) -> float:
        began: float = time.perf_counter()
        for index in range(options.samples):
            dataset[Draw(epoch, index)]
        return (time.perf_counter() - began) / int(options.samples)

    seeded, plain = [], []
    for epoch in range(options.rounds):
        seeded.append(seconds(epoch))
        with patch.object(image_dataset, "augment", unseeded):
            plain.append(seconds(epoch))
    ratios = sorted(one / two for one, two in zip(seeded, plain, strict=True))
    print(
        f"{statistics.median(seeded) * 1e6:.0f} against {statistics.median(plain) * 1e6:.0f} microseconds a sample: "
        f"ratio {statistics.median(ratios):.3f} ({ratios[len(ratios) // 4]:.3f} to {ratios[-len(ratios) // 4]:.3f})"
    )


if __name__ == "__main__":
    main()
