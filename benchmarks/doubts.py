"""Exchanges some labels of a data set, and counts how many of them the command ``doubts`` finds.

python -m benchmarks.doubts --root ROOT --weights tf_efficientnet_lite0.safetensors

The exchanged labels are handed over as ``data.corrected_labels``: the data set stays as it is. What is wrong in it
already counts as a false alarm. Finished trainings are kept, so that an interrupted comparison continues.
"""

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring.documented_command import CHECKOUT
from datamodules import StanfordCarsDataModule
from datamodules.samples import joined
from results.evaluation.groups import class_groups


def exchange(root: Path, share: float, file: Path, similar: bool) -> dict[str, str]:
    """Give randomly chosen training images wrong labels.

    Args:
        root: The data set.
        share: Share of the images whose labels are exchanged.
        file: CSV file to write.
        similar: Take another class of the same make, where there is one, rather than exchange labels among the images.

    Returns:
        Wrong classes by path relative to the data set.
    """
    data = StanfordCarsDataModule(root=str(root))
    data.prepare_data()
    samples = joined([data.samples("train"), data.samples("val")])
    assert samples.labels is not None
    random = np.random.default_rng(0)
    chosen = random.permutation(len(samples))[: round(share * len(samples))]
    wrong = samples.labels[np.roll(chosen, 1)]
    if similar:
        makes = np.array(class_groups(data.class_names)["make"])
        for place, label in enumerate(samples.labels[chosen].tolist()):
            others = np.flatnonzero((makes == makes[label]) & (np.arange(len(makes)) != label))
            wrong[place] = random.choice(others) if len(others) else wrong[place]
    keep = wrong != samples.labels[chosen]
    base = data.layout.base
    exchanged = {
        str(Path(path).relative_to(base)): data.class_names[label]
        for path, label in zip(samples.files[chosen][keep].tolist(), wrong[keep].tolist(), strict=True)
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows([("path", "label"), *exchanged.items()])
    return exchanged


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with Stanford Cars")
    parser.add_argument("--weights", type=Path, required=True, help="weights of timm's tf_efficientnet_lite0")
    parser.add_argument("--share", type=float, default=0.05, help="share of the labels that are exchanged")
    parser.add_argument("--similar", action="store_true", help="wrong labels are of the same make")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("logs/doubts_benchmark"), help="folder to write")
    options = parser.parse_args()
    table = options.out.absolute() / "exchanged.csv"
    exchanged = exchange(options.root, options.share, table, options.similar)
    began = time.perf_counter()
    folder = options.out.absolute() / "doubts"
    subprocess.run(  # noqa: S603 - the project's own command
        [
            sys.executable, str(CHECKOUT / "train.py"), "doubts",
            "--config=configs/stanford_cars.yaml", "--config=configs/backbone/efficientnet_lite0.yaml",
            f"--data.root={options.root.absolute()}", f"--data.image_size={options.image_size}",
            f"--model.weights={options.weights.absolute()}", f"--trainer.max_epochs={options.epochs}",
            "--early_stopping.patience=null", f"--data.corrected_labels={table}", f"--folds={options.folds}",
            f"--output={folder}", "--trainer.enable_progress_bar=false",
        ],
        cwd=CHECKOUT,
        check=True,
    )  # fmt: skip
    wall = time.perf_counter() - began
    with (folder / "relabel.csv").open(encoding="utf-8-sig", newline="") as rows:
        doubtful = [row["path"] for row in csv.DictReader(rows) if row["label_before"]]
    hits = np.array([path in exchanged for path in doubtful])
    print(f"\n{len(exchanged)} labels exchanged, {len(doubtful)} doubtful, {hits.sum()} of them exchanged")
    print(f"precision {hits.mean():.3f}, recall {hits.sum() / len(exchanged):.3f}; {wall / 60:.0f} min")
    for number in (50, 100, len(exchanged), 2 * len(exchanged)):
        found = hits[:number].sum()
        print(f"the first {number}: precision {found / number:.3f}, recall {found / len(exchanged):.3f}")


if __name__ == "__main__":
    main()
