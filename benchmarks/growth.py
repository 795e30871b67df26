"""Measures how a fit grows with files, classes and processes, epoch by epoch.

python -m benchmarks.growth --images FOLDER [--files 1000 10000 100000 1000000] [--classes 10 100 1000 10000]

The files are links to the photographs in FOLDER. Each case is the documented command in processes of its own, with a
small network on images of 64 px, three epochs of as many batches each, so that whatever grows is what the number of
files or classes costs: before the first step, in each epoch, and in memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring.turns import arguments, as_options, machine
from benchmarks.million_files import make_links

_BATCHES = 20
_EPOCHS = 3
_CLASSES, _FILES = 100, 20_000  # of the cases in which the other grows


def fit(root: Path, folder: Path, processes: int) -> dict[str, list[float]]:
    """Run one case.

    Args:
        root: The data set.
        folder: For its run.
        processes: Training processes.

    Returns:
        What ``EpochClock`` writes.
    """
    clock = folder / "clock.json"
    given = {
        "data": "datamodules.ImageFolderDataModule",
        "data.root": root,
        "data.image_size": 64,
        "data.num_workers": 1,
        "data.keep_equal_together": "false",
        "model.backbone": "squeezenet1_1",
        "model.weights": "null",
        "logs": folder / "logs",
        "trainer.accelerator": "cpu",
        "trainer.devices": processes,
        "trainer.max_epochs": _EPOCHS,
        "trainer.limit_train_batches": _BATCHES,
        "trainer.limit_val_batches": _BATCHES // 4,
        "trainer.precision": "32-true",
        "trainer.enable_progress_bar": "false",
        "early_stopping.patience": "null",
        "previews.enabled": "false",
        "trainer.callbacks+": "benchmarks.measuring.epoch_clock.EpochClock",
        "trainer.callbacks.file": clock,
    }
    if processes > 1:
        given["trainer.strategy"] = "ddp"
    command = [sys.executable, "train.py", "fit", *as_options(given)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    measured: dict[str, list[float]] = json.loads(clock.read_text())
    return measured


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--images", type=Path, required=True, help="folder with photographs")
    parser.add_argument("--files", type=int, nargs="*", default=[10**3, 10**4, 10**5, 10**6])
    parser.add_argument("--classes", type=int, nargs="*", default=[10, 10**2, 10**3, 10**4])
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    options: argparse.Namespace = parser.parse_args()
    cases = [(files, min(_CLASSES, files // 10)) for files in options.files]
    cases += [(max(_FILES, 2 * classes), classes) for classes in options.classes]
    tables = []
    print(f"A fit of {_EPOCHS} epochs of {_BATCHES} batches; {machine()}\n")
    print(
        "| files | classes | processes | first step after, s | epochs, s | MB after each |\n|---|---|---|---|---|---|"
    )
    for files, classes in cases:
        with tempfile.TemporaryDirectory() as name:
            make_links(options.images, Path(name, "cars"), classes, files // classes)
            for processes in options.processes * options.rounds:
                found = fit(Path(name, "cars"), Path(name), processes)
                tables.append({"files": files, "classes": classes, "processes": processes, **found})
                began, epochs, memory = found["began"], found["epochs"], found["memory"]
                cells = [[f"{number:.2f}" for number in (*began, *epochs)], [f"{number:.0f}" for number in memory]]
                shown = [cells[0][0], ", ".join(cells[0][1:]), ", ".join(cells[1])]
                print(f"| {files} | {classes} | {processes} | {' | '.join(shown)} |", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
