"""Measures ``test``: plain, and averaged over more and more views of each picture.

python -m benchmarks.evaluation [--network resnet18] [--image-size 224] [--workers 1]

A drawn data set is tested with a network of random weights by the documented command, from its first batch to its end.
What K views cost is given as a share of K plain passes: a picture is read, handed over and scored once.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring.epoch_clock import EvaluationClock
from benchmarks.measuring.turns import Side, arguments, as_options, report, summarize, take_turns
from command_line import main as command_line

VIEWS: dict[str, tuple[int, dict[str, Any]]] = {
    "plain": (1, {"tta.enabled": "false"}),
    "two views": (2, {"tta.scales": "[1.0]"}),
    "four views, the default": (4, {}),
    "twelve views": (12, {"tta.shift": 0.5}),
}


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--images", type=int, default=64, help="of each of eight classes")
    parser.add_argument("--workers", type=int, default=1)
    options: argparse.Namespace = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        common = {
            "data": "datamodules.ToyCarsDataModule",
            "data.root": Path(name, "toy_cars"),
            "data.image_size": options.image_size,
            "data.test_images": options.images,
            "data.num_workers": options.workers,
            "model.backbone": options.network,
            "model.weights": "null",
            "logs": Path(name, "logs"),
        }
        begun = {"trainer.max_epochs": 1, "trainer.limit_train_batches": 1, "trainer.limit_val_batches": 1}
        command_line(["fit", *as_options({**common, **begun, "previews.enabled": "false"})])
        run = next(Path(name, "logs").rglob("best.ckpt"))
        clock = {"ckpt_path": run, "trainer.callbacks+": "benchmarks.measuring.epoch_clock.EvaluationClock"}

        def seconds(views: dict[str, Any]) -> float:
            command_line(["test", *as_options({**common, **clock, **views})])
            return EvaluationClock.seconds

        sides = [Side(title, partial(seconds, views)) for title, (_, views) in VIEWS.items()]
        values = take_turns(sides, options.rounds)
    images = 8 * options.images
    report(f"test of {images} images, {options.network}, {options.image_size} px", "s", values, "plain", options.json)
    print("| views | share of as many plain passes |\n|---|---|")
    for title, summary in summarize(values, "plain").items():
        print(f"| {VIEWS[title][0]} | {summary.ratio / VIEWS[title][0]:.3f} |")


if __name__ == "__main__":
    main()
