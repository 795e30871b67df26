"""Trains on a few photographs of each class, as own collections have them.

python -m benchmarks.few_photographs --root ROOT --weights tf_efficientnet_lite0.safetensors --per-class 5 10 20

Each run is the documented command with ``configs/own_photos.yaml``, on Stanford Cars but for a list of photographs that
are left out (``data.exclude``); validation keeps its 15 %. All test photographs are tested. Finished runs are kept in
``--out``; other options need another folder.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring.documented_command import CHECKOUT, call
from benchmarks.measuring.kept_results import digest_of, keep_result, kept_result
from datamodules import StanfordCarsDataModule


def left_out(root: Path, per_class: int) -> list[str]:
    """Choose the photographs that aren't used.

    Args:
        root: Stanford Cars.
        per_class: How many training photographs of each class stay.

    Returns:
        The others, relative to ``root``.
    """
    data = StanfordCarsDataModule(root=str(root), val_fraction=0.15)  # as own_photos.yaml
    data.prepare_data()
    train = data.samples("train")
    files, labels = train.files, train.labels
    assert labels is not None
    order = np.random.default_rng(0).permutation(len(files))
    rank = np.zeros(len(files), dtype=np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own))
    return sorted(os.path.relpath(str(file), data.layout.base) for file in files[rank >= per_class])


def main() -> None:
    """Train, test, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="Stanford Cars")
    parser.add_argument("--weights", type=Path, required=True, help="weights of the network")
    parser.add_argument("--backbone", default="efficientnet_lite0", help="a config of configs/backbone")
    parser.add_argument("--per-class", type=int, nargs="+", default=[5, 10, 20], help="photographs of each class")
    parser.add_argument("--epochs", type=int, default=30, help="epochs of each run")
    parser.add_argument("--image-size", type=int, default=128, help="side of the training images in pixels")
    parser.add_argument("--out", type=Path, default=Path("logs/few_photographs"), help="folder of the runs")
    parser.add_argument("--options", nargs="*", default=[], help="further options of fit, without their dashes")
    options = parser.parse_args()
    print("| photographs of a class | top-1 | macro F1 | top-1, TTA | training, minutes |\n|---|---|---|---|---|")
    for count in options.per_class:
        run = options.out.absolute() / f"{count}_of_a_class"
        recipe = [f"--data.image_size={options.image_size}", f"--trainer.max_epochs={options.epochs}"]
        recipe += [f"--{option}" for option in options.options]
        configs = [CHECKOUT / f"configs/{name}.yaml" for name in ("own_photos", f"backbone/{options.backbone}")]
        given = {"options": recipe, "weights": digest_of([options.weights]), "configs": digest_of(configs)}
        given["root"] = str(options.root.absolute())
        found = kept_result(run / "few.json", given)
        if found is None:
            exclude = options.out / f"all_but_{count}.txt"
            exclude.parent.mkdir(parents=True, exist_ok=True)
            exclude.write_text("\n".join(left_out(options.root, count)) + "\n", encoding="utf-8")
            began = time.perf_counter()
            call(
                *("fit", *(f"--config={config}" for config in configs), "--data=datamodules.StanfordCarsDataModule"),
                *(f"--data.root={options.root.absolute()}", f"--data.exclude={exclude.absolute()}"),
                *(f"--model.weights={options.weights.absolute()}", "--trainer.enable_progress_bar=false"),
                *(f"--logs={run.parent.parent}", f"--experiment={run.parent.name}", f"--name={run.name}", *recipe),
            )
            minutes = (time.perf_counter() - began) / 60
            call("test", str(run))
            scores = json.loads((run / "test/test_scores.json").read_text(encoding="utf-8"))
            found = {**scores, "minutes": minutes}
            keep_result(run / "few.json", given, found)
        cells = [f"{found[name]:.3f}" for name in ("test/accuracy", "test/f1", "test_tta/accuracy")]
        print(f"| {count} | {' | '.join(cells)} | {found['minutes']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
