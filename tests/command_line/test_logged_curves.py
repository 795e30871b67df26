"""Curves have points enough for the length of a run, and no top-5 accuracy of few classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from command_line.strict_trainer import StrictTrainer
from lightning_modules.scoring.classification_metrics import ClassificationMetrics

pytestmark = pytest.mark.slow

Run = Callable[..., None]
Scores = Callable[..., dict[str, Any]]


def curves(folder: Path) -> dict[str, list[int]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_short_runs_have_curves(run: Run, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    run("fit", "--trainer.log_every_n_steps=null", "--trainer.max_epochs=1", "--data.batch_size=7")
    drawn = curves(tmp_path / "logs/demo/version_0")
    assert drawn["train/loss"] == drawn["lr/head"] == [*range(9)]
    assert not [item for item in recwarn if "logging interval" in str(item.message)]
    with pytest.warns(UserWarning, match="logging interval"):  # an explicit number is taken as it is
        run("fit", "--trainer.log_every_n_steps=10", "--trainer.max_epochs=1", "--data.batch_size=7")
    assert "train/loss" not in curves(tmp_path / "logs/demo/version_1")
    run("fit", "--trainer.log_every_n_steps=0", "--trainer.max_epochs=1")
    assert "lr/head" not in curves(tmp_path / "logs/demo/version_2")


@pytest.mark.parametrize(
    ("batches", "accumulated", "max_steps", "interval"),
    [
        (9, 1, -1, 1), (45, 1, -1, 2), (100, 1, -1, 5), (1000, 1, -1, 50), (100_000, 1, -1, 50), (1000, 10, -1, 5),
        (100_000, 1, 40, 2), (float("inf"), 1, -1, 50), (float("inf"), 1, 100, 5), (1, 1, -1, 1),
    ],
)  # fmt: skip
def test_points_of_curves_follow_from_the_length_of_the_run(
    batches: float, accumulated: int, max_steps: int, interval: int
) -> None:
    trainer = StrictTrainer(
        accumulate_grad_batches=accumulated, max_steps=max_steps, max_epochs=5, logger=False, accelerator="cpu"
    )
    trainer.fit_loop.max_batches = batches
    assert trainer.log_every_n_steps == interval
    explicit = StrictTrainer(log_every_n_steps=7, logger=False, accelerator="cpu")
    explicit.fit_loop.max_batches = batches
    assert explicit.log_every_n_steps == 7
    assert StrictTrainer(barebones=True, accelerator="cpu").log_every_n_steps == 0


def test_a_negative_interval_is_refused(mistake: Callable[..., str]) -> None:
    assert "trainer.log_every_n_steps is -1" in mistake("fit", "--trainer.log_every_n_steps=-1")


def test_of_five_classes_there_is_no_top_5() -> None:
    for classes, known in ((5, False), (6, True)):
        scores = ClassificationMetrics(classes)
        scores.update(torch.eye(classes), torch.arange(classes))
        assert ("top5_accuracy" in scores.compute()) == known
        scores.reset()
        assert int(scores.confusion.compute().sum()) == 0


def test_few_classes_have_no_top_5_anywhere(
    run: Run, scores_of: Scores, toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = toy_set / "cars_train"
    for number, picture in enumerate(sorted(source.iterdir())[:24]):
        for split in ("train", "test"):
            folder = tmp_path / "own" / split / f"class{number % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / picture.name).write_bytes(picture.read_bytes())
    data = [
        "--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path / 'own'}", "--data.num_workers=0",
        "--data.image_size=64", "--data.batch_size=6", "--data.val_fraction=0.25", "--trainer.max_epochs=1",
    ]  # fmt: skip
    run("fit", *data)
    run("test", *data, "--ckpt_path=best")
    assert not [name for file in ("fit", "test") for name in scores_of(f"{file}_scores.json") if "top5" in name]
    assert "top-5" not in capsys.readouterr().out
    assert not [tag for tag in curves(tmp_path / "logs/demo/version_0") if "top5" in tag]
