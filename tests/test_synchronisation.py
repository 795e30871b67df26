"""A step waits neither for the device nor for other processes."""

from collections.abc import Callable

import pytest

from lightning_modules import layerwise_optimization
from tests.synchronisations import Window

Run = Callable[..., None]
WINDOW = ["--trainer.callbacks+=tests.synchronisations.Window", "--data.batch_size=4", "--data.image_size=64"]
QUIET = ["--trainer.log_every_n_steps=50", "--trainer.max_epochs=1", "--data_wait.enabled=true"]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_steps_wait_for_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    monkeypatch.setattr(layerwise_optimization, "can_fuse", lambda *_: True)  # as on a GPU
    options = [
        "--ema.decay=0.9",
        "--unfreezing.epochs=[1]",
        "--learning_rates.enabled=true",
        "--trainer.enable_progress_bar=true",
    ]
    run("fit", *WINDOW, *QUIET, *options, f"--model.optimizer={optimizer}")
    assert Window.steps == 6
    assert not Window.found


def test_evaluation_batches_wait_for_nothing(run: Run) -> None:
    run("fit", *QUIET, "--trainer.limit_train_batches=1")
    run("test", *WINDOW, "--trainer.enable_progress_bar=true", "--ckpt_path=best")
    assert Window.steps > 5
    assert not Window.found
