"""Measures how fast a training set is loaded from files, from chunks on this disk, and from chunks in object storage.

python -m benchmarks.streaming [--root shared/stanford_cars] [--chunk-mb 4] [--latency 0 20 100] [--image-size 400]

A server that speaks S3 runs beside, in a process of its own on the same cores, and waits before each answer. "first" is
an epoch with an empty cache, "second" the one after it, with the chunks kept; "bounded" keeps a share of them only,
which is renewed all the time. Without ``--root``, cars are drawn.
"""

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring.turns import Side, arguments, report, take_turns
from datamodules import StanfordCarsDataModule, StreamingDataModule, ToyCarsDataModule
from datamodules.chunks.conversion import convert
from datamodules.image_data_module import ImageDataModule
from tests.support.storage_server import StorageServer

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


def serve(folder: Path, line: Connection) -> None:
    """Serve a folder as ``s3://cars/stream`` until the other end closes.

    Args:
        folder: The folder.
        line: Sends the address, and gets the latency in seconds each time that it changes.
    """
    server = StorageServer()
    server.client().create_bucket(Bucket="cars")
    server.upload(folder, "stream")
    line.send(server.url)
    while True:
        try:
            server.latency = line.recv()
        except EOFError:
            return


def epochs(data: ImageDataModule, before: Callable[[], None], wanted: int) -> float:
    """Load a training set epoch by epoch.

    Args:
        data: The data module.
        before: Called before the first epoch.
        wanted: Which epoch to measure, counted from 0.

    Returns:
        Images a second of that epoch, without the start of the loading processes.
    """
    before()
    data.setup("fit")
    loader = data.train_dataloader()
    for epoch in range(wanted + 1):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        began = time.perf_counter()
        seen = sum(len(labels) for _, labels in loader)
        rate = seen / (time.perf_counter() - began)
    return rate


def growth(data: ImageDataModule, count: int) -> list[float]:
    """Watch the memory of the loading processes.

    Args:
        data: The data module.
        count: Number of epochs.

    Returns:
        Their own memory (USS, without what is shared) in MB, all together, after each epoch.
    """
    others = {process.pid for process in psutil.Process().children()}
    data.setup("fit")
    loader, found = data.train_dataloader(), []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for _ in loader:
            pass
        workers = [process for process in psutil.Process().children() if process.pid not in others]
        found.append(sum(process.memory_full_info().uss for process in workers) / 1e6)
    return found


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--root", type=Path, help="Stanford Cars")
    parser.add_argument("--chunk-mb", type=float, default=4.0)
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 20, 100], help="milliseconds before an answer")
    parser.add_argument("--kept", type=float, default=0.6, help="share of the chunks that the bounded cache keeps")
    parser.add_argument("--image-size", type=int, default=400)
    parser.add_argument("--num-workers", type=int, default=2)
    options = parser.parse_args()
    settings = {"image_size": options.image_size, "num_workers": options.num_workers}
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name, "cache")
        files: ImageDataModule
        if options.root:
            files = StanfordCarsDataModule(root=str(options.root), keep_equal_together=False, **settings)
        else:
            files = ToyCarsDataModule(root=str(folder / "toy"), train_images=200, **settings)
        convert(files, folder / "stream", chunk_bytes=int(options.chunk_mb * 2**20))
        size = sum(file.stat().st_size for file in (folder / "stream/train").glob("*.bin"))
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        server = context.Process(target=serve, args=(folder / "stream", there), daemon=True)
        server.start()
        os.environ |= {**_CREDENTIALS, "AWS_ENDPOINT_URL": here.recv()}

        def begin(latency: float) -> None:
            shutil.rmtree(cache, ignore_errors=True)
            here.send(latency / 1000)

        def remote(**more: Any) -> StreamingDataModule:
            return StreamingDataModule(root="s3://cars/stream", cache_dir=str(cache), **settings, **more)

        def nothing() -> None:
            """Prepare nothing."""

        local = partial(StreamingDataModule, root=str(folder / "stream"), **settings)
        bounded = options.kept * size / 1e9
        sides = [
            Side("files", lambda: epochs(files, nothing, 1)),
            Side("chunks on this disk", lambda: epochs(local(), nothing, 1)),
        ]
        for latency in options.latency:
            start = partial(begin, latency)
            sides += [
                Side(f"S3, {latency:g} ms, first", lambda start=start: epochs(remote(), start, 0)),  # type: ignore[misc]
                Side(f"S3, {latency:g} ms, second", lambda start=start: epochs(remote(), start, 1)),  # type: ignore[misc]
                Side(
                    f"S3, {latency:g} ms, bounded, second",
                    lambda start=start: epochs(remote(cache_gb=bounded), start, 1),  # type: ignore[misc]
                ),
            ]
        values = take_turns(sides, options.rounds)
        chunks = len(list((folder / "stream/train").glob("*.bin")))
        title = (
            f"Loading {len(files.labels('train')):,} images at {options.image_size} px, {size / 1e6:.0f} MB in "
            f"{chunks} chunks, {options.num_workers} loading processes"
        )
        report(title, "images/s", values, "files", options.json)
        begin(options.latency[-1])
        memory = growth(remote(cache_gb=bounded), 5)
        shown = ", ".join(f"{megabytes:.0f}" for megabytes in memory)
        print(f"Memory of the loading processes after each of five epochs, bounded: {shown} MB")


if __name__ == "__main__":
    main()
