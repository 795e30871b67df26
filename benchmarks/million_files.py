"""Starts a data module over a million files, and measures what each further loading process costs.

python -m benchmarks.million_files --images FOLDER

The files are links to the photographs in FOLDER. Memory is PSS, where a page that processes share counts in parts; the
sum over all processes is what the machine has to have.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

from datamodules import ImageFolderDataModule
from datamodules.files.file_search import find_images

BATCH = 64


def make_links(images: Path, root: Path, classes: int, each: int) -> None:
    """Make ``root/train/CLASS/*``.

    Args:
        images: Folder with photographs.
        root: Folder to make.
        classes: Number of classes.
        each: Links a class.
    """
    sources = [Path(file).absolute() for file in find_images(images)]
    for number in range(classes):
        folder = root / "train" / f"class_{number:04d}"
        folder.mkdir(parents=True)
        for link in range(each):
            (folder / f"{link:05d}.jpg").symlink_to(sources[(number * 7 + link) % len(sources)])


def pss(process: psutil.Process) -> float:
    """Measure the memory of a process.

    Args:
        process: The process.

    Returns:
        Its proportional set size in MB.
    """
    return float(process.memory_full_info().pss) / 1e6


def measure(root: Path, workers: int, batches: int, method: str) -> tuple[float, float, float]:
    """Start a data module and load some batches.

    Args:
        root: The data set.
        workers: Loading processes.
        batches: Batches to load.
        method: How processes are started: fork, forkserver or spawn.

    Returns:
        Seconds until the splits were listed and until the first batch, and the PSS of all processes in MB.
    """
    torch.multiprocessing.set_start_method(method, force=True)
    began = time.perf_counter()
    data = ImageFolderDataModule(
        root=str(root), image_size=64, batch_size=BATCH, num_workers=workers, val_fraction=0.01
    )
    data.prepare_data()
    data.setup("fit")
    listed = time.perf_counter() - began
    loader = iter(data.train_dataloader())
    next(loader)
    first = time.perf_counter() - began
    for _ in range(batches):
        next(loader)
    this = psutil.Process()
    return listed, first, pss(this) + sum(pss(child) for child in this.children(recursive=True))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder with photographs to link to")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--each", type=int, default=1000, help="files in each class")
    parser.add_argument("--batches", type=int, default=400, help=f"batches of {BATCH} to load before measuring")
    parser.add_argument("--methods", nargs="+", default=["fork"], choices=["fork", "forkserver", "spawn"])
    parser.add_argument("--measure", nargs=3, metavar=("ROOT", "METHOD", "WORKERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        root, method, workers = options.measure
        listed, first, total = measure(Path(root), int(workers), options.batches, method)
        print(
            f"{method:10} {workers} workers: listed in {listed:.1f} s, first batch after {first:.1f} s, "
            f"PSS of all processes {total:.0f} MB",
            flush=True,
        )
        os._exit(0)  # without waiting for the loading processes
    with tempfile.TemporaryDirectory() as folder:
        make_links(options.images, Path(folder), options.classes, options.each)
        print(f"{options.classes * options.each} files, {os.cpu_count()} cores", flush=True)
        for method in options.methods:
            for workers in (1, 2, 4):  # each in a process of its own, which shares no memory with this one
                command = [sys.executable, "-W", "ignore", "-m", "benchmarks.million_files"]
                command += ["--images", str(options.images), "--batches", str(options.batches)]
                command += ["--measure", folder, method, str(workers)]
                subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
