"""Trains with every recipe that runs on a CPU, and as peers do, and lists minutes and scores.

python -m benchmarks.leaderboard --root ROOT --weights tf_efficientnet_lite0.safetensors [--rows NAME...]

EfficientNet-Lite0 on the same photographs and the same split. Ours are the documented commands; the peers see as many
photographs as the recipe for 128 px and of its size, squeezed and evaluated as there (``benchmarks/training.py``). Each
row is a training in processes of its own, one after the other, and is kept in ``--out``, so that an interrupted
benchmark goes on; rows of another machine, seed, data set, weights or recipe are refused there. Minutes count from the
start of the process; pixels are those of all training images, of the recipe for 128 px.
"""

import argparse
import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measuring.documented_command import CHECKOUT
from benchmarks.measuring.kept_results import digest_of, keep_result, kept_result
from benchmarks.measuring.trainings import Trained, TrainingFailedError, train_peer, train_with
from benchmarks.measuring.turns import machine
from benchmarks.peers.training import PEERS
from benchmarks.training import RATES, given_to_peers, present_peers, split_lists
from callbacks import ProgressiveResizing

RECIPES = sorted(path.stem for path in (CHECKOUT / "configs/recipes").glob("efficientnet_lite0_*.yaml"))
ROWS = [*RECIPES, "stanford_cars", *RATES]
_PEERS_SEE: dict[str, Any] = {"image_size": 128, "batch_size": 32, "epochs": 15, "eval_scale": 1.4, "squeeze": True}


def train(row: str, options: argparse.Namespace, lists: str, classes: int) -> Trained:
    """Train what a row stands for.

    Args:
        row: One of ``ROWS``.
        options: The command line.
        lists: A JSON file of what ``split_lists`` returns.
        classes: Number of classes.

    Returns:
        What it came to.
    """
    if row in RATES:
        return train_peer(row, options, given_to_peers(options, lists, classes), options.seed)
    if row in RECIPES:
        return train_with([f"--config=configs/recipes/{row}.yaml"], options, options.seed)
    fit = ["--config=configs/stanford_cars.yaml", "--config=configs/backbone/efficientnet_lite0.yaml"]
    return train_with([*fit, "--data.image_size=128", "--trainer.max_epochs=15"], options, options.seed)


def pixels(row: str) -> float:
    """Tell how many pixels a row trains on, as a multiple of those that the peers see.

    Args:
        row: One of ``ROWS``.

    Returns:
        Epochs times the area of an image, by the same of ``_PEERS_SEE``.
    """
    size, epochs = _PEERS_SEE["image_size"], _PEERS_SEE["epochs"]
    if row not in RECIPES:
        return 1.0
    config = yaml.safe_load((CHECKOUT / f"configs/recipes/{row}.yaml").read_text(encoding="utf-8"))
    resizing = ProgressiveResizing(**config.get("progressive_resizing", {}))
    side, count = config["data"]["init_args"]["image_size"], config["trainer"]["max_epochs"]
    return float(sum(resizing.side(side, epoch, count) ** 2 for epoch in range(count)) / (epochs * size**2))


def _sources(row: str) -> list[Path]:
    """List the files that say what a row does."""
    if row in RATES:
        return [CHECKOUT / f"benchmarks/peers/{PEERS[row].recipe}.py"]
    names = [f"recipes/{row}"] if row in RECIPES else ["stanford_cars", "backbone/efficientnet_lite0"]
    return [CHECKOUT / f"configs/{name}.yaml" for name in names]


def print_rows(rows: dict[str, Trained], target: float) -> None:
    """Print a table, the best test accuracy first.

    Args:
        rows: What each row came to.
        target: The validation accuracy whose time is told.
    """
    print(f"| | test | test, TTA | best validation | pixels | minutes | minutes to {target:g} of validation images |")
    print("|---|---|---|---|---|---|---|")
    for name, found in sorted(rows.items(), key=lambda item: -item[1].accuracy):
        reached = found.time_to(target)
        tta = "" if found.tta is None else f"{found.tta:.3f}"
        best, to_target = max(share for _, share in found.epochs), "never" if reached is None else f"{reached / 60:.1f}"
        scores, costs = f"{found.accuracy:.3f} | {tta} | {best:.3f}", f"{pixels(name):.2f} | {found.seconds / 60:.1f}"
        print(f"| {name} | {scores} | {costs} | {to_target} |")


def main() -> None:
    """Train the rows that there aren't yet, and print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="Stanford Cars, in any layout")
    parser.add_argument("--weights", type=Path, required=True, help="weights of timm's tf_efficientnet_lite0")
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS, help="some of the rows")
    parser.add_argument("--seed", type=int, default=1, help="seed of all trainings")
    parser.add_argument("--target", type=float, default=0.8, help="validation accuracy whose time is told")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 16), help="loading processes")
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers/bin/python"), help="Python with the peers")
    parser.add_argument("--out", type=Path, default=Path("logs/leaderboard"), help="folder of the finished rows")
    parser.set_defaults(**_PEERS_SEE, device="cpu", limit=None)
    options = parser.parse_args()
    options.rates = {name: rates[0] for name, rates in RATES.items()}
    options.environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    lists, data = split_lists(options.root)
    rows: dict[str, Trained] = {}
    photographs = digest_of((Path(path) for split in lists.values() for path, _ in split), whole=False)
    given = {"machine": machine(), "seed": options.seed, "workers": options.workers, "photographs": photographs}
    given["weights"] = digest_of([options.weights])
    dependencies = {row: given | {"recipe": digest_of(_sources(row))} for row in options.rows}
    files = {row: options.out / f"{row.replace(', ', '_').replace(' ', '_')}.json" for row in options.rows}
    kept = {row: kept_result(files[row], dependencies[row]) for row in options.rows}
    peers = present_peers(options) if any(row in RATES and not kept[row] for row in options.rows) else []
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(lists, file)
        file.flush()
        begin = partial(train, options=options, lists=file.name, classes=len(data.class_names))
        for row in (row for row in options.rows if kept[row] or row not in RATES or row in peers):
            if kept[row] is None:
                try:
                    kept[row] = begin(row)._asdict()
                except TrainingFailedError as error:  # the others are worth seeing all the same
                    print(f"{row} is left out: {error}\n", file=sys.stderr)
                    continue
                keep_result(files[row], dependencies[row], kept[row])
            rows[row] = Trained(**kept[row])
            print(f"{row}: {rows[row].accuracy:.4f} in {rows[row].seconds / 60:.1f} minutes", file=sys.stderr)
    print(f"EfficientNet-Lite0, {len(lists['train'])} photographs train, {len(lists['test'])} test; {machine()}\n")
    print_rows(rows, options.target)


if __name__ == "__main__":
    main()
