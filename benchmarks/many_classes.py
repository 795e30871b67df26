"""Trains and tests with many classes and with few on as many pictures, and compares time and memory.

python -m benchmarks.many_classes --classes 10000

Both sides are the command line in a process of its own, on drawn pictures of 96 px: one picture of each class trains,
one of every fifth class validates and another tests. The few classes share the same number of pictures. The network is
the same but for its head, whose size grows with the classes: what that costs is measured by steps of the network alone.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torchvision.models import resnet18

SIDE = 96
BATCH = 32
_DRAWN = 64


def make_pictures(root: Path, classes: int, images: dict[str, int]) -> None:
    """Make ``root/PART/CLASS/*``.

    Args:
        root: Folder to make.
        classes: Number of classes.
        images: Number of pictures of each part; they are dealt to the classes in turn.
    """
    random = np.random.default_rng(0)
    root.mkdir(parents=True)
    for number in range(_DRAWN):
        small = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        small.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(root / f".{number}.jpg")
    for part, count in images.items():
        for number in range(count):
            label = number * max(1, classes // count) % classes
            folder = root / part / f"Make{label // 10:04d} Model {label % 10}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.jpg").hardlink_to(root / f".{number % _DRAWN}.jpg")


class Cost(NamedTuple):
    """What a command took.

    Attributes:
        seconds: Time.
        busy: Seconds of processor time, which don't depend on what else the machine does.
        memory: Largest resident set in MB.
    """

    seconds: float
    busy: float
    memory: float


def run(arguments: list[str]) -> Cost:
    """Run the command line.

    Args:
        arguments: Its arguments.

    Returns:
        What it took.
    """
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "train.py", *arguments])  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"train.py {arguments[0]} ended with exit code {process.returncode}.")
    memory = usage.ru_maxrss / (1e3 if platform.system() == "Linux" else 1e6)
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, memory)


def measure(folder: Path, classes: int, images: dict[str, int]) -> dict[str, Cost]:
    """Train for an epoch, and test.

    Args:
        folder: Where to put pictures and run.
        classes: Number of classes.
        images: Number of pictures of each part.

    Returns:
        What each command took.
    """
    root, logs = folder / f"{classes}_classes", folder / f"{classes}_logs"
    make_pictures(root, classes, images)
    options = [
        "--config", "configs/own_photos.yaml", f"--data.root={root}", f"--data.image_size={SIDE}", "--name=run",
        f"--data.batch_size={BATCH}", "--data.num_workers=0", "--model.backbone=resnet18", "--model.weights=null",
        "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
        f"--logs={logs}",
    ]  # fmt: skip
    return {"fit": run(["fit", *options]), "test": run(["test", str(logs / "own_photos/run")])}


def head_seconds(classes: int, steps: int = 10) -> float:
    """Measure a training step of the network alone.

    Args:
        classes: Number of classes.
        steps: Steps to take; the fastest counts.

    Returns:
        Seconds.
    """
    network = resnet18(num_classes=classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters())
    pixels, labels = torch.randn(BATCH, 3, SIDE, SIDE), torch.arange(BATCH)
    taken = []
    for _ in range(steps):
        began = time.perf_counter()
        optimizer.zero_grad()
        torch.autograd.backward(torch.nn.functional.cross_entropy(network(pixels), labels))
        optimizer.step()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=10_000, help="how many the many are, and training pictures")
    parser.add_argument("--few", type=int, default=100)
    options = parser.parse_args()
    images = {"train": options.classes, "val": options.classes // 5, "test": options.classes // 5}
    sides = (options.few, options.classes)
    with tempfile.TemporaryDirectory() as folder:
        found = {classes: measure(Path(folder), classes, images) for classes in sides}
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {images}")
    for classes in sides:
        print(f"{classes:>6} classes: a step of the network alone {1e3 * head_seconds(classes):.0f} ms")
    for command in ("fit", "test"):
        few, many = (found[classes][command] for classes in sides)
        for classes, cost in zip(sides, (few, many), strict=True):
            took = f"{cost.seconds:6.1f} s, {cost.busy:6.1f} s of a processor, {cost.memory:.0f} MB"
            print(f"{command:4} {classes:>6} classes: {took}")
        print(f"{command:4} {many.seconds / few.seconds:.2f} times the time, {many.busy / few.busy:.2f} times the "
              f"processor time, {many.memory - few.memory:+.0f} MB", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
