"""Compares ways to fine-tune one network on the same number of images.

python -m benchmarks.recipes --root ROOT --weights tf_efficientnet_lite0.safetensors --seeds 1 2

Each run is the documented command line in a process of its own; finished runs are kept, so that an interrupted
comparison continues. All see the same number of images, but for the last three, which see as many pixels. The table is
printed and written beside the runs.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from benchmarks.measuring.documented_command import CHECKOUT, call
from benchmarks.measuring.kept_results import digest_of, keep_result, kept_result

LAYER_RATES = "--model.layer_decay=0.8"

# The network has nine groups: the head alone for one epoch, three more in each of the next two, all from the fourth on.
GRADUAL = "--unfreezing.epochs=[1,1,1,2,2,2,3,3]"

RECIPES: dict[str, list[str]] = {
    "full fine-tuning": [],
    "gradual unfreezing": [GRADUAL],
    "gradual unfreezing, layer-wise rates": [GRADUAL, LAYER_RATES],
    "linear probe": ["--unfreezing.epochs=[]", "--model.learning_rate=0.01"],
    "from scratch": ["--model.weights=null", "--data.eval_scale=1.0"],  # as configs/backbone/from_scratch.yaml
    "full fine-tuning, layer-wise rates": [LAYER_RATES],
    "cosine classifier": ["--model.cosine_scale=16"],
    "moving average": ["--ema.decay=0.99"],
    "no label smoothing": ["--model.label_smoothing=0"],
    "more label smoothing": ["--model.label_smoothing=0.2"],
    "random erasing": ["--data.random_erasing=0.25"],
    "MixUp": ["--model.mixup_alpha=0.2"],
    "CutMix": ["--model.cutmix_alpha=1"],
    "more weight decay": ["--model.weight_decay=0.5"],
    "SGD": ["--model.optimizer=sgd", "--model.learning_rate=0.05", "--model.weight_decay=0.0005"],
    "batches of 16": ["--data.batch_size=16"],
    # the same number of pixels: fewer epochs of larger images, more of smaller ones, from small to large
    "160 px, five epochs": ["--data.image_size=160", "--trainer.max_epochs=5"],
    "96 px, 14 epochs": ["--data.image_size=96", "--data.eval_scale=1.5", "--trainer.max_epochs=14"],
    "from 96 to 160 px": ["--data.image_size=160", "--progressive_resizing.start=0.6", "--trainer.max_epochs=7"],
}


def run_once(name: str, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Train and test one recipe with one seed, unless that has been done.

    Args:
        name: A key of ``RECIPES``.
        seed: Seed of the run.
        options: The command line of this script.

    Returns:
        Scores of the test and the wall time of the training in seconds.
    """
    logs = options.out / name.replace(", ", "_").replace(" ", "_")
    run = logs / f"seed_{seed}" / "version_0"
    result = run / "recipe.json"
    recipe = [f"--data.image_size={options.image_size}", f"--trainer.max_epochs={options.epochs}", *RECIPES[name]]
    configs = [CHECKOUT / "configs" / name for name in ("stanford_cars.yaml", "backbone/efficientnet_lite0.yaml")]
    given = {"options": recipe, "weights": digest_of([options.weights]), "configs": digest_of(configs)}
    given["root"] = str(options.root.absolute())
    kept: dict[str, float] | None = kept_result(result, given)
    if kept is not None:
        return kept
    began = time.perf_counter()
    call(
        *("fit", *(f"--config={config}" for config in configs), f"--data.root={options.root.absolute()}"),
        *(f"--seed_everything={seed}", "--data.num_workers=1", "--early_stopping.patience=null"),
        *("--trainer.enable_progress_bar=false", f"--model.weights={options.weights.absolute()}"),
        *(f"--logs={logs.absolute()}", f"--experiment=seed_{seed}", "--name=version_0", *recipe),
    )
    wall = time.perf_counter() - began
    call("test", str(run.absolute()))
    tested = json.loads((run / "test/test_scores.json").read_text())
    scores = {key: value for key, value in tested.items() if isinstance(value, float)} | {"seconds": wall}
    keep_result(result, given, scores)
    return scores


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """Lay the results out in Markdown.

    Args:
        results: Scores of all seeds by recipe.

    Returns:
        A table with medians and, for more than one seed, the smallest and the largest value.
    """
    columns = {"test/accuracy": "top-1", "test/f1": "macro F1", "test_tta/accuracy": "top-1, TTA"}
    lines = [f"| recipe | {' | '.join(columns.values())} | training, minutes | seeds |", "|---|" + "---|" * 5]
    for name, runs in results.items():
        cells = []
        for key in columns:
            values = [run[key] for run in runs]
            spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
            cells.append(f"{statistics.median(values):.3f}{spread}")
        minutes = statistics.median(run["seconds"] for run in runs) / 60
        lines.append(f"| {name} | {' | '.join(cells)} | {minutes:.1f} | {len(runs)} |")
    return "\n".join(lines)


def main() -> None:
    """Run all recipes with all seeds and print the table after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="Stanford Cars, devkit layout")
    parser.add_argument("--weights", type=Path, required=True, help="weights of timm's tf_efficientnet_lite0")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="seeds of the runs")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of each run")
    parser.add_argument("--image-size", type=int, default=128, help="side of the training images in pixels")
    parser.add_argument("--out", type=Path, default=Path("logs/recipes"), help="folder of the runs")
    parser.add_argument("--recipes", nargs="+", default=[*RECIPES], choices=[*RECIPES], help="some of the recipes")
    options = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        for name in options.recipes:
            results.setdefault(name, []).append(run_once(name, seed, options))
            print(f"\n{table(results)}", flush=True)
            (options.out / "table.md").write_text(table(results) + "\n")


if __name__ == "__main__":
    main()
