"""Measures how fast images are loaded: against bare processes, and against other frameworks.

python -m benchmarks.loader --root ROOT [--image-size 400] [--workers 2] [--tables bare jittered default stages]

"bare" compares the loader with as many processes that load the same samples and hand nothing over. "jittered" gives
all frameworks the same crop (half to all of the picture), flip and a colour jitter of every picture (brightness,
contrast and saturation 0.8 to 1.2, hue -0.02 to 0.02). "default" is what each of them does to training images by
itself. Every side is a process of its own that loads batches of 32 and counts the images of some seconds after its
first batches.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2

from benchmarks.measuring.turns import Side, arguments, as_options, from_process, has_peers, report, take_turns
from datamodules import ColorJitter, StanfordCarsDataModule
from datamodules.image_dataset import ImageDataset
from datamodules.loading.sampler_key import SamplerKey
from datamodules.pipelines import augment, compose, default_train_steps

PEERS = {
    "jittered": ["torchvision v1 (PIL)", "torchvision v2 (PIL)", "torchvision v2 (uint8)", "timm", "fastai"],
    "default": ["torchvision reference", "timm", "fastai", "Hugging Face example"],
}
_WARM = 12  # batches
_PEER_SCRIPT = Path(__file__).parent / "peers/loaders.py"


def training_set(options: argparse.Namespace, jittered: bool) -> StanfordCarsDataModule:
    """Build the data module of a side, set up."""
    steps = None
    if jittered:
        limits = (0.8, 1.2)
        jitter = ColorJitter(brightness=limits, contrast=limits, saturation=limits, hue=(-0.02, 0.02), p=1)
        steps = [*default_train_steps(options.image_size)[:2], jitter]
    data = StanfordCarsDataModule(
        root=str(options.root), image_size=options.image_size, num_workers=options.workers, train_transforms=steps
    )
    data.setup("fit")
    return data


def loaded(options: argparse.Namespace, jittered: bool) -> float:
    """Count the images a second of the loader."""
    loader = training_set(options, jittered).train_dataloader()
    loader.sampler.set_epoch(0)  # type: ignore[attr-defined]
    batches = (batch for epoch in cycle([0]) for batch in loader if epoch == 0)
    for _ in range(_WARM):
        next(batches)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < options.seconds:
        count += len(next(batches)[1])
    return count / (time.perf_counter() - began)


def _load_alone(dataset: ImageDataset, first: int, step: int, seconds: float, found: Any) -> None:
    cv2.setNumThreads(0)
    keys = cycle(range(first, len(dataset), step))
    for _ in range(_WARM * 16):
        dataset[SamplerKey(0, next(keys))]
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        dataset[SamplerKey(0, next(keys))]
        count += 1
    found.put(count / (time.perf_counter() - began))


def bare(options: argparse.Namespace, jittered: bool) -> float:
    """Count the images a second of bare processes."""
    dataset = training_set(options, jittered).datasets["train"]
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    work = [
        context.Process(target=_load_alone, args=(dataset, number, options.workers, options.seconds, found))
        for number in range(options.workers)
    ]
    for process in work:
        process.start()
    return float(sum(found.get() for _ in work))


def stages(options: argparse.Namespace) -> None:
    """Print the milliseconds of one core for each stage of a sample."""
    cv2.setNumThreads(0)
    dataset = training_set(options, jittered=True).datasets["train"]
    pipelines = {}
    steps = dataset.transform.transforms
    for name, chosen in (("crop and resize", steps[:1]), ("with flip", steps[:2]), ("with jitter", steps[:3])):
        pipelines[name] = compose(chosen)
    spent: dict[str, float] = {"read and decode": 0.0, **dict.fromkeys(pipelines, 0.0)}
    for index in range(options.samples):
        dataset.read(index)  # finds the file in memory afterwards
        began = time.perf_counter()
        image = dataset.read(index)
        spent["read and decode"] += time.perf_counter() - began
        for name, pipeline in pipelines.items():
            began = time.perf_counter()
            augment(pipeline, image, (0, 0, index))
            spent[name] += time.perf_counter() - began
    print("| stage | ms a sample, one core |\n|---|---|")
    before = 0.0
    for name, seconds in spent.items():
        shown = 1e3 * seconds / options.samples
        print(f"| {name} | {shown - before if name.startswith('with') else shown:.2f} |")
        before = shown if name != "read and decode" else 0.0
    print()


def side(name: str, options: argparse.Namespace) -> Side:
    """Measure a side in a process of its own, which is this module with ``--side``."""
    values = {"root": options.root, "image-size": options.image_size, "workers": options.workers}
    command = [sys.executable, "-m", "benchmarks.loader", "--side", name, "--seconds", str(options.seconds)]
    return Side(name.partition(":")[0], from_process([*command, *as_options(values)]))


def peer_sides(table: str, options: argparse.Namespace, files: Path) -> list[Side]:
    """Make the sides of the peers, which read a list of files."""
    common = {"files": files, "image-size": options.image_size, "workers": options.workers, "seconds": options.seconds}
    given = as_options(common)
    return [
        Side(name, from_process([options.peers, _PEER_SCRIPT, table, name, *given]))
        for name in (PEERS[table] if has_peers(options.peers) else [])
    ]


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--root", type=Path, required=True, help="Stanford Cars")
    parser.add_argument("--image-size", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each side is measured")
    parser.add_argument("--samples", type=int, default=500, help="of the table of stages")
    parser.add_argument("--tables", nargs="*", default=["bare", "jittered", "default", "stages"])
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        name, _, strength = options.side.partition(":")
        measure = bare if name == "bare processes" else loaded
        print(measure(options, strength == "jittered"))
        return
    where = f"{options.image_size} px, {options.workers} workers"
    with tempfile.TemporaryDirectory() as folder:
        samples = training_set(options, jittered=False).datasets["train"].samples
        files = Path(folder) / "files.json"
        files.write_text(json.dumps([str(file) for file in samples.files]))
        if "bare" in options.tables:
            for strength in ("default", "jittered"):
                sides = [side(f"bare processes:{strength}", options), side(f"loader:{strength}", options)]
                values = take_turns(sides, options.rounds)
                report(f"Loading, {strength} augmentation, {where}", "images/s", values, "bare processes", options.json)
        for table in ("jittered", "default"):
            if table in options.tables:
                sides = [side(f"carspotter:{table}", options), *peer_sides(table, options, files)]
                values = take_turns(sides, options.rounds)
                report(f"Loading, {table} augmentation, {where}", "images/s", values, "carspotter", options.json)
        if "stages" in options.tables:
            stages(options)


if __name__ == "__main__":
    main()
