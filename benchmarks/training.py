"""Compares a whole fine-tuning and its test accuracy with timm's, fastai's and Hugging Face's.

python -m benchmarks.training --root ROOT --weights tf_efficientnet_lite0.safetensors [--image-size 128] [--epochs 8]

Each side trains EfficientNet-Lite0 in a process of its own, from the same weights, on the same photographs, split, size
and number of epochs, batches of the same size, loaded by the same number of workers. Time counts from the start of the
process to the end of training, with an evaluation of the validation images after each epoch. Ours is the documented
command line with its config, to the end of its process; what the peers do stands in ``benchmarks/peers``. Each
has its own augmentation, optimizer, schedule and precision, as it comes, so accuracy stands beside time. Test accuracy
is that of the checkpoint that each keeps: the best by macro F1 on the validation images for ours, by accuracy for timm
and Hugging Face, the last weights for fastai.

Our config knows that these photographs are best squeezed into squares, which no peer does by default; with
``--squeeze`` the peers do so, too, and evaluate at the size that ours does. Peers' learning rates: ``--search`` trains
each with each rate of ``RATES`` and goes on with the one that is best on the validation images; without it, the first
is taken, which was the best of them on the first 50 classes (96 px, 6 epochs, one seed), but for "fastai, one rate",
which has its default. A peer that fails, or whose package is missing, is left out. Nothing is downloaded.

Prints minutes, test accuracies, and when the validation accuracy first reached ``--target``.
"""

import argparse
import json
import math
import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cars_copy import copy_cars
from benchmarks.measuring.documented_command import CHECKOUT
from benchmarks.measuring.trainings import CONFIGS, Trained, TrainingFailedError, call, train_ours, train_peer
from benchmarks.measuring.turns import Side, arguments, has_peers, report, take_turns
from datamodules import StanfordCarsDataModule

OURS = "Carspotter"

# Learning rates of each peer, first the one that is taken without a search; fastai's and Hugging Face's own defaults
# are 2e-3 and 5e-5, while what timm recommends depends on the network
RATES = {
    "timm": (2e-3, 5e-4, 1e-3, 4e-3),
    "fastai": (4e-3, 2e-3, 8e-3),
    "fastai, one rate": (2e-3, 1e-3, 4e-3),  # its default; the body has the head's, instead of a hundredth of it
    "Hugging Face": (2e-3, 5e-5, 1e-3, 4e-3),
}


def split_lists(root: Path) -> tuple[dict[str, list[tuple[str, int]]], StanfordCarsDataModule]:
    """List the photographs of each split as the config divides them.

    Args:
        root: Stanford Cars.

    Returns:
        Paths and labels of ``train``, ``val`` and ``test``; and the data module that they are of.
    """
    config = yaml.safe_load((CHECKOUT / CONFIGS[0]).read_text())["data"]["init_args"]
    chosen = {key: config[key] for key in ("val_fraction", "crop_to_box", "image_size", "eval_scale")}
    data = StanfordCarsDataModule(str(root.absolute()), **chosen)
    lists = {}
    for split in ("train", "val", "test"):
        samples = data.samples(split)
        assert samples.labels is not None
        lists[split] = [*zip(samples.files.tolist(), samples.labels.tolist(), strict=True)]
    return lists, data


def our_eval_scale(options: argparse.Namespace) -> float:
    """Find the size of evaluation that our config and further options come to.

    Args:
        options: The command line.

    Returns:
        A multiple of the training size.
    """
    configs = [*(f"--config={config}" for config in CONFIGS), *shlex.split(options.ours)]
    printed = call([sys.executable, "train.py", "fit", *configs, "--print_config"], options)
    return float(yaml.safe_load(printed)["data"]["init_args"]["eval_scale"])


def given_to_peers(options: argparse.Namespace, lists: str, classes: int) -> dict[str, Any]:
    """Put together the settings that all peers share.

    Args:
        options: The command line.
        lists: A JSON file of what ``split_lists`` returns.
        classes: Number of classes.

    Returns:
        The settings.
    """
    given = {
        key: getattr(options, key) for key in ("image_size", "batch_size", "epochs", "workers", "device", "squeeze")
    }
    size = round(options.image_size * (options.eval_scale if options.squeeze else 1))
    return given | {"lists": lists, "weights": str(options.weights.absolute()), "classes": classes, "eval_size": size}


def present_peers(options: argparse.Namespace) -> list[str]:
    """Find the peers whose packages are installed, and say which aren't.

    Args:
        options: The command line.

    Returns:
        Their names.
    """
    if not has_peers(options.peers):
        return []
    command = [options.peers.absolute(), "-m", "benchmarks.peers.training", "missing"]
    missing: dict[str, list[str]] = json.loads(call(command, options).splitlines()[-1])
    for name, packages in missing.items():
        if packages:
            print(f"{name} is left out, since {options.peers} lacks {' and '.join(packages)}.\n")
    return [name for name in RATES if not missing[name]]


def search(name: str, options: argparse.Namespace, given: dict[str, Any]) -> bool:
    """Choose a peer's learning rate: that with the best validation accuracy of the last epoch.

    Args:
        name: The peer.
        options: The command line; its ``rates`` are changed.
        given: Settings that all peers share.

    Returns:
        Whether the peer could be trained.
    """
    found = {}
    for rate in RATES[name]:
        options.rates[name] = rate
        try:
            found[rate] = train_peer(name, options, given, seed=0).epochs[-1][1]
        except TrainingFailedError as error:
            print(f"{name} is left out: {error}\n", file=sys.stderr)
            return False
    options.rates[name] = max(found, key=lambda rate: found[rate])
    listed = ", ".join(f"{accuracy:.3f} at {rate:g}" for rate, accuracy in found.items())
    print(f"{name}, validation accuracy by learning rate: {listed}; {options.rates[name]:g} it is.\n", flush=True)
    return True


def print_times_to(target: float, trained: dict[str, list[Trained]]) -> None:
    """Print when each side's validation accuracy first reached a target, in each round."""
    print(f"| | seconds to {target:g} of the validation images | best of an epoch |\n|---|---|---|")
    for name, runs in trained.items():
        times = [run.time_to(target) for run in runs]
        cells = ", ".join("not reached" if moment is None else f"{moment:.1f}" for moment in times)
        print(f"| {name} | {cells} | {statistics.median(max(share for _, share in run.epochs) for run in runs):.3f} |")
    print()


def compare(options: argparse.Namespace) -> None:
    """Train all sides, and print the tables."""
    lists, data = split_lists(options.root)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(lists, file)
        file.flush()
        options.eval_scale = options.eval_scale or our_eval_scale(options)
        given = given_to_peers(options, file.name, len(data.class_names))
        peers = [name for name in present_peers(options) if name in options.sides]
        if options.search:
            peers = [name for name in peers if search(name, options, given)]
        trainings: dict[str, Callable[[int], Trained]] = {OURS: partial(train_ours, options)}
        trainings |= {name: partial(train_peer, name, options, given) for name in peers}
        trained: dict[str, list[Trained]] = {name: [] for name in trainings if name in options.sides}

        def side(name: str) -> Side:
            def measure() -> float:
                try:
                    trained[name].append(trainings[name](len(trained[name]) + 1))
                except TrainingFailedError as error:  # the others are worth seeing all the same
                    print(f"{name} is left out: {error}\n", file=sys.stderr)
                    return math.nan
                seconds, epochs, accuracy, _ = trained[name][-1]
                curve = ", ".join(f"{share:.3f} at {moment:.0f} s" for moment, share in epochs)
                print(f"{name}: test accuracy {accuracy:.4f}; validation {curve}", file=sys.stderr, flush=True)
                return seconds / 60

            return Side(name, measure)

        minutes = take_turns([side(name) for name in trained], options.rounds)
    trained = {name: runs for name, runs in trained.items() if len(runs) == options.rounds}
    minutes = {name: minutes[name] for name in trained}
    peers = [name for name in peers if name in trained]
    fastest = min(peers or trained, key=lambda name: statistics.median(minutes[name]))
    counts = ", ".join(f"{len(pairs)} {split}" for split, pairs in lists.items())
    rates = ", ".join(f"{name} {options.rates[name]:g}" for name in peers)
    title = (
        f"EfficientNet-Lite0, {options.image_size} px, {options.epochs} epochs, batches of {options.batch_size}, "
        f"{options.workers} workers, {options.device}; photographs: {counts}"
        + (f"; rates: {rates}{'; peers squeeze, too' * options.squeeze}" if peers else "")
    )
    report(title, "minutes", minutes, fastest, options.json)
    accuracies = {name: [run.accuracy for run in runs] for name, runs in trained.items()}
    report("Test accuracy", "share", accuracies, fastest, options.json)
    print_times_to(options.target, trained)
    if options.json is not None:
        tables = json.loads(options.json.read_text())
        tables.append(
            {"title": title, "runs": {name: [run._asdict() for run in runs] for name, runs in trained.items()}}
        )
        options.json.write_text(json.dumps(tables, indent=1) + "\n")


def main() -> None:
    """Compare, on all photographs or on those of some classes."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--root", type=Path, required=True, help="Stanford Cars, in any layout")
    parser.add_argument("--weights", type=Path, required=True, help="weights of timm's tf_efficientnet_lite0")
    parser.add_argument("--classes", type=int, help="use the photographs of the first classes alone")
    parser.add_argument("--image-size", type=int, default=128, help="side of the training images in pixels")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of each training, 2 or more")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step")
    parser.add_argument("--workers", type=int, default=min(cores, 16), help="loading processes")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to train")
    parser.add_argument("--target", type=float, default=0.8, help="validation accuracy whose time is told")
    parser.add_argument("--sides", nargs="+", default=[OURS, *RATES], choices=[OURS, *RATES], help="some of the sides")
    parser.add_argument(
        "--eval-scale", type=float, help="evaluation's size of the training size; our config's if left out"
    )
    parser.add_argument("--squeeze", action="store_true", help="have the peers squeeze whole pictures, too")
    parser.add_argument("--search", action="store_true", help="choose the peers' learning rates first")
    parser.add_argument("--limit", type=float, help="seconds after which a side is left out")
    parser.add_argument(
        "--ours",
        default="",
        help="further configs and options of ours, in quotes; sizes and epochs are set after them",
    )
    options = parser.parse_args()
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    options.rates = {name: rates[0] for name, rates in RATES.items()}
    options.environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    if options.device == "cpu":
        options.environment["CUDA_VISIBLE_DEVICES"] = ""
    with tempfile.TemporaryDirectory() as folder:
        if options.classes is not None:
            copy_cars(options.root, Path(folder) / "cars", options.classes)
            options.root = Path(folder) / "cars"
        try:
            compare(options)
        except TrainingFailedError as error:  # a typo in --ours, by which all sides are set up
            sys.exit(str(error))


if __name__ == "__main__":
    main()
