"""A step waits neither for the device nor for other processes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_modules.training import layerwise_optimization
from tests.support.processes import run_devices
from tests.support.synchronisations import Window

Run = Callable[..., None]
WINDOW = ["--trainer.callbacks+=tests.support.synchronisations.Window", "--data.batch_size=4", "--data.image_size=64"]
QUIET = ["--trainer.log_every_n_steps=50", "--trainer.max_epochs=1", "--data_wait.enabled=true"]


@pytest.mark.parametrize(("optimizer", "fused"), [("adamw", True), ("sgd", True), ("adamw", False)])
def test_training_steps_wait_for_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, optimizer: str, fused: bool
) -> None:
    monkeypatch.setattr(layerwise_optimization, "can_fuse", lambda *_: True)  # as on a GPU
    options = [
        "--ema.decay=0.9",
        "--unfreezing.epochs=[1]",
        "--learning_rates.enabled=true",
        "--trainer.enable_progress_bar=true",
        f"--model.optimizer={optimizer}",
        f"--model.fused={str(fused).lower()}",
    ]
    run("fit", *WINDOW, *QUIET, *options)
    assert Window.steps == 6
    assert bool(Window.found) is not fused  # others are asked by the host whether gradients are finite


def test_evaluation_batches_wait_for_nothing(run: Run) -> None:
    run("fit", *QUIET, "--trainer.limit_train_batches=1")
    run("test", *WINDOW, "--trainer.enable_progress_bar=true", "--ckpt_path=best")
    assert Window.steps > 5
    assert not Window.found


@pytest.mark.slow
def test_devices_exchange_nothing_but_gradients(arguments: list[str], tmp_path: Path) -> None:
    counting = [
        "--trainer.callbacks+=tests.support.synchronisations.Collectives",
        f"--trainer.callbacks.folder={tmp_path}",
    ]
    options = ["--data.batch_size=4", "--data.image_size=64", "--ema.decay=0.9", "--trainer.log_every_n_steps=50"]
    run_devices(["fit", *arguments, *options, *counting, "--trainer.max_epochs=1"], 2)
    for rank in ("0", "1"):
        assert json.loads((tmp_path / rank).read_text()) == {"broadcast": 14}  # Lightning's, one a step, of SIGTERM
