"""The share of a step that waits for images."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from datamodules.image_dataset import ImageDataset
from lightning_modules import ImageClassifier
from tests.support.run_files import tensorboard_curves

Run = Callable[..., None]
FULL = ["--data_wait.enabled=true", "--data.batch_size=2", "--data.image_size=64", "--trainer.max_epochs=1"]


def slow(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, seconds: float) -> None:
    original = getattr(owner, name)

    def waiting(*args: object) -> object:
        time.sleep(seconds)
        return original(*args)

    monkeypatch.setattr(owner, name, waiting)


@pytest.mark.slow
def test_slow_loading_shows(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow(monkeypatch, ImageDataset, "__getitem__", 0.1)
    run("fit", *FULL, "--trainer.limit_train_batches=32", "--trainer.limit_val_batches=1")
    curve = tensorboard_curves(tmp_path / "logs/demo/version_0")["data_wait"]
    assert list(curve) == list(range(32))
    assert median(list(curve.values())[2:]) > 0.5  # a single step may be held up by whatever else runs
    assert curve[0] == 0  # the first batch isn't counted, since it waits for processes to start
    assert "% of the first epoch's steps went by waiting for images" in caplog.text


@pytest.mark.slow
def test_quick_loading_shows(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow(monkeypatch, ImageClassifier, "training_step", 0.2)
    run("fit", *FULL, "--trainer.limit_train_batches=8")
    curve = tensorboard_curves(tmp_path / "logs/demo/version_0")["data_wait"]
    assert median(curve.values()) < 0.3
    assert "waiting for images" not in caplog.text
