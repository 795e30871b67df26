"""Measures what it costs that every sample's augmentation follows from (seed, epoch, sample).

python -m benchmarks.seeding --root ROOT

Both sides load each sample in turn, in one process: the data set as it is, and the same without seeding. They do so
with crop and flip alone, whose cost doesn't depend on what is drawn; the share of the default pipeline follows from it.
"""

import argparse
import statistics
import time
from unittest.mock import patch

import cv2

from datamodules import StanfordCarsDataModule, pipelines
from datamodules.image_dataset import ImageDataset
from datamodules.loading.sampler_key import SamplerKey
from datamodules.pipelines import default_train_steps


def seconds(dataset: ImageDataset, index: int, epoch: int) -> float:
    """Measure how long one sample takes.

    Args:
        dataset: Training images.
        index: Position of the sample.
        epoch: Epoch.

    Returns:
        Seconds.
    """
    began = time.perf_counter()
    dataset[SamplerKey(epoch, index)]
    return time.perf_counter() - began


def compare(dataset: ImageDataset, epoch: int, samples: int) -> tuple[float, float]:
    """Measure an epoch with seeding and without.

    Args:
        dataset: Training images.
        epoch: Epoch.
        samples: How many samples to load.

    Returns:
        Seconds a sample with seeding, and without.
    """
    seeded, plain = 0.0, 0.0
    for index in range(samples):
        dataset.read(index)  # so that both sides find the file in memory
        if index % 2:  # in turn, since the second finds the caches warm
            seeded += seconds(dataset, index, epoch)
        with patch.object(pipelines, "_seed", lambda *_: None):  # whatever numbers come next
            plain += seconds(dataset, index, epoch)
        if not index % 2:
            seeded += seconds(dataset, index, epoch)
    return seeded / samples, plain / samples


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="Stanford Cars")
    parser.add_argument("--image-size", type=int, default=400)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    datasets = []
    for steps in (default_train_steps(options.image_size)[:2], None):
        data = StanfordCarsDataModule(root=options.root, image_size=options.image_size, train_transforms=steps)
        data.setup("fit")
        datasets.append(data.datasets["train"])
    costs, cropped, default = [], [], []
    for epoch in range(options.rounds):
        seeded, plain = compare(datasets[0], epoch, options.samples)
        costs.append(1e6 * (seeded - plain))
        cropped.append(1e6 * plain)
        default.append(1e6 * sum(seconds(datasets[1], i, epoch) for i in range(options.samples)) / options.samples)
    costs.sort()
    cost = statistics.median(costs)
    print(f"seeding: {cost:.1f} microseconds a sample ({costs[len(costs) // 4]:.1f} to {costs[-len(costs) // 4]:.1f})")
    for name, times in (("crop and flip", cropped), ("default pipeline", default)):
        print(f"{100 * cost / statistics.median(times):.1f} % of {statistics.median(times):.0f} microseconds: {name}")


if __name__ == "__main__":
    main()
