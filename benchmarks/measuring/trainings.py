"""Trains and tests one side of benchmarks/training.py, in processes of its own."""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring.documented_command import CHECKOUT

CONFIGS = ("configs/stanford_cars.yaml", "configs/backbone/efficientnet_lite0.yaml")


class Trained(NamedTuple):
    """What a training came to.

    Attributes:
        seconds: From the start of the process to the end of training.
        epochs: Seconds since the start, and validation accuracy, of each epoch.
        accuracy: Share of the test images that are right.
        tta: The same over the views of test-time augmentation; None where there are none.
    """

    seconds: float
    epochs: list[tuple[float, float]]
    accuracy: float
    tta: float | None = None

    def time_to(self, target: float) -> float | None:
        """Find when the validation accuracy first reached a target: seconds since the start, None if it never did."""
        return next((moment for moment, share in self.epochs if share >= target), None)


class TrainingFailedError(Exception):
    """A process that failed, with its command and the end of what it printed."""


def train_ours(options: argparse.Namespace, seed: int) -> Trained:
    """Train and test by the command line.

    Args:
        options: The command line of the benchmark.
        seed: Seed of the run.

    Returns:
        What it came to.
    """
    fit = [
        *(f"--config={config}" for config in CONFIGS), *shlex.split(options.ours),
        f"--data.eval_scale={options.eval_scale}", f"--data.image_size={options.image_size}",
        f"--data.batch_size={options.batch_size}", f"--trainer.max_epochs={options.epochs}",
        "--early_stopping.patience=null",
    ]  # fmt: skip
    return train_with(fit, options, seed)


def train_with(fit: list[str], options: argparse.Namespace, seed: int) -> Trained:
    """Train and test by the command line with given options of ``fit``.

    Args:
        fit: The options, but those for data, weights, loading processes, seed and folder.
        options: The command line of the benchmark.
        seed: Seed of the run.

    Returns:
        What it came to.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tempfile.TemporaryDirectory() as folder:
        given = [
            f"--data.root={options.root.absolute()}", f"--model.weights={options.weights.absolute()}",
            f"--data.num_workers={options.workers}", f"--seed_everything={seed}", f"--logs={folder}",
            "--experiment=training", "--name=run",
        ]  # fmt: skip
        began = time.time()
        call([sys.executable, "train.py", "fit", *fit, *given], options)
        seconds, run = time.time() - began, Path(folder) / "training/run"
        events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload().Scalars("val/accuracy")
        call([sys.executable, "train.py", "test", str(run)], options)
        scores = json.loads((run / "test/test_scores.json").read_text())
    epochs = [(event.wall_time - began, event.value) for event in events]
    return Trained(seconds, epochs, scores["test/accuracy"], scores.get("test_tta/accuracy"))


def train_peer(name: str, options: argparse.Namespace, given: dict[str, Any], seed: int) -> Trained:
    """Train and test as a peer does.

    Args:
        name: The peer.
        options: The command line of the benchmark.
        given: Settings that all peers share.
        seed: Seed of the run.

    Returns:
        What it came to.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {"folder": folder, "result": f"{folder}/result.json"}
        settings = Path(folder) / "settings.json"
        settings.write_text(json.dumps(given | files | {"rate": options.rates[name], "seed": seed}))
        command = [options.peers.absolute(), "-m", "benchmarks.peers.training", name, settings]
        began = time.time()
        call(command, options)
        result = json.loads(Path(files["result"]).read_text())
    epochs = [(moment - began, accuracy) for moment, accuracy in result["epochs"]]
    return Trained(result["ended"] - began, epochs, result["accuracy"])


def call(command: list[Any], options: argparse.Namespace) -> str:
    """Run a command in the checkout.

    Args:
        command: The command.
        options: The command line of the benchmark: ``environment``, and ``limit`` in seconds.

    Returns:
        What it printed.

    Raises:
        TrainingFailedError: If it failed, or took too long.
    """
    environment, limit = options.environment, options.limit
    text = [str(part) for part in command]
    try:
        done = subprocess.run(text, cwd=CHECKOUT, env=environment, timeout=limit, capture_output=True, text=True)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise TrainingFailedError(f"{shlex.join(text)} took more than {limit:g} s.") from error
    if done.returncode:
        raise TrainingFailedError(f"{shlex.join(text)} failed:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return done.stdout
