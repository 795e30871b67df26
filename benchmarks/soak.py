"""Fits, tests and predicts again and again in one process, and watches what it holds.

python -m benchmarks.soak --root ROOT --weights FILE --minutes 120

After every round: the memory of the process after a garbage collection (its own and shared memory; pages of files,
which other processes may share, are left out), its mappings, open files, threads and child processes, and what it has
left in the folder of temporary files. A line of each goes into OUTPUT/rounds.csv, and a picture into OUTPUT/soak.png.
"""

import argparse
import csv
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import psutil

from train import main as train


def resident(process: psutil.Process, kind: str) -> float:
    """Read how much memory of a kind a process has.

    Args:
        process: The process.
        kind: A field of ``/proc/PID/status``.

    Returns:
        MB of 1e6 bytes.
    """
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{kind}:"))
    return int(kilobytes) * 1024 / 1e6


MEASURES: dict[str, Callable[[psutil.Process], float]] = {
    "memory, MB": lambda this: resident(this, "RssAnon") + resident(this, "RssShmem"),
    "open files": lambda this: this.num_fds(),
    "threads": lambda this: this.num_threads(),
    "child processes": lambda this: len(this.children(recursive=True)),
    "memory mappings": lambda this: len(this.memory_maps(grouped=False)),
    "temporary files": lambda _: len([*Path(tempfile.gettempdir()).rglob("*")]),
}


def arguments(command: str, options: argparse.Namespace, logs: Path, seed: int) -> list[str]:
    """Write a command of a round.

    Args:
        command: ``fit``, ``test`` or ``predict``.
        options: Those of this script.
        logs: Where runs are to be kept.
        seed: That of the round.

    Returns:
        The arguments for ``train.py``.
    """
    common = [command, f"--seed_everything={seed}", "--data=StanfordCarsDataModule", f"--data.root={options.root}"]
    common += ["--data.image_size=96", "--data.batch_size=16", "--data.num_workers=2", "--tta.scales=[1.0]"]
    common += ["--model.backbone=timm/tf_efficientnet_lite0", f"--model.weights={options.weights}"]
    common += ["--trainer.accelerator=cpu", f"--logs={logs}", "--trainer.max_epochs=2"]
    common += ["--trainer.limit_train_batches=8", "--trainer.limit_val_batches=4", "--trainer.limit_test_batches=8"]
    common += ["--trainer.limit_predict_batches=4", "--trainer.enable_progress_bar=false"]
    if command == "fit":
        return [*common, "--ema.decay=0.9", "--unfreezing.epochs=[1]", "--checkpoint.every_n_steps=4"]
    if command == "predict":
        return [*common, "--ckpt_path=best", f"--data.predict_dir={options.root / 'cars_test'}"]
    return [*common, "--ckpt_path=best"]


def draw(rows: list[dict[str, float]], file: Path) -> None:
    """Draw every measure over time.

    Args:
        rows: What was measured after each round.
        file: The PNG file to write.
    """
    figure, panels = plt.subplots(2, 3, figsize=(12, 6), layout="constrained")
    for panel, name in zip(panels.flat, MEASURES, strict=True):
        values = [row[name] for row in rows]
        panel.plot([row["minutes"] for row in rows], values)
        panel.set(title=name, xlabel="minutes", ylim=(0, 1.2 * max(1, *values)))
    figure.savefig(file)
    plt.close(figure)


def report(rows: list[dict[str, float]]) -> None:
    """Print for each measure the medians of the second and the last quarter; the first is warm-up.

    Args:
        rows: What was measured after each round.
    """
    quarter = max(1, len(rows) // 4)
    print(f"{len(rows)} rounds of fit, test and predict in {rows[-1]['minutes']:.0f} minutes")
    for name in MEASURES:
        values = [row[name] for row in rows]
        early, late = statistics.median(values[quarter : 2 * quarter] or values), statistics.median(values[-quarter:])
        print(f"{name:24} first {values[0]:8.1f}   second quarter {early:8.1f}   last quarter {late:8.1f}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="Stanford Cars, with devkit/")
    parser.add_argument("--weights", type=Path, required=True, help="weights of timm's tf_efficientnet_lite0")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--output", type=Path, default=Path("logs/soak"))
    options = parser.parse_args()
    tempfile.tempdir = str(options.output / "tmp")  # of this process alone
    Path(tempfile.tempdir).mkdir(parents=True, exist_ok=True)
    this, began = psutil.Process(), time.monotonic()
    rows: list[dict[str, float]] = []
    with (options.output / "rounds.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["minutes", *MEASURES])
        table.writeheader()
        while time.monotonic() - began < 60 * options.minutes:
            logs = options.output / "runs"
            for command in ("fit", "test", "predict"):
                train(arguments(command, options, logs, seed=len(rows)))
            shutil.rmtree(logs)
            gc.collect()
            measured = {name: measure(this) for name, measure in MEASURES.items()}
            rows.append({"minutes": (time.monotonic() - began) / 60, **measured})
            table.writerow(rows[-1])
            file.flush()
    draw(rows, options.output / "soak.png")
    report(rows)


if __name__ == "__main__":
    main()
