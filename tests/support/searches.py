"""What tests of searches share: a space, a command, and trainings that are only acted."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from runs.curves import Curve
from runs.run import Run

CONFIG = {"seed_everything": 1, "checkpoint.monitor": "val/loss", "checkpoint.mode": None}
SPACE = "model.learning_rate: {low: 0.0001, high: 0.01, log: true}\ndata.batch_size: [8, 16]\n"


@pytest.fixture
def space(tmp_path: Path) -> Path:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    return file


def command(toy_root: Path, space: Path, output: Path, *extra: str) -> list[str]:
    return [
        "sweep", f"--data.root={toy_root}", "--data.image_size=32", "--data.num_workers=0", "--data.batch_size=16",
        "--model.backbone=squeezenet1_1", "--model.weights=null", "--model.warmup_epochs=0", "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--previews.enabled=false",
        "--data.train_images=10", "--data.test_images=5",
        "--report.enabled=false", f"--space={space}", f"--output={output}", *extra,
    ]  # fmt: skip


def scripted(losses: Callable[[int], list[float]]) -> Callable[..., str]:
    """Stand in for trainings: each writes its losses epoch by epoch."""
    numbers = iter(range(1000))

    def train(run: Run, options: list[str], score: str, falls_behind: Callable[[Curve], bool]) -> str:
        values = losses(next(numbers))
        for epoch in range(1, len(values) + 1):
            if falls_behind({10 * step: values[step] for step in range(epoch)}):
                return "pruned"
        run.folder.mkdir(exist_ok=True)
        (run.folder / "fit_scores.json").write_text(json.dumps({score: values[-1]}))
        (run.folder / "config.yaml").write_text(
            "seed_everything: 1\nlogs: a\nexperiment: b\nname: c\nmodel:\n  name: d\n"
        )
        return "finished"

    return train


@pytest.fixture(autouse=True)
def quiet() -> Iterator[Any]:
    verbosity = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(verbosity)
