"""What a classifier or a run keeps of one training is right in the next."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks import Distillation, GradualUnfreezing, LearningRateFinder, ProgressiveResizing
from lightning_modules import ImageClassifier
from lightning_modules.training.teacher import Teacher

Run = Callable[..., None]
LABELS = torch.arange(12) % 3


@pytest.fixture
def model() -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier("squeezenet1_1", None, ["a", "b", "c"], image_size=64, warmup_epochs=0)


def loader(size: int = 64) -> DataLoader[tuple[Tensor, ...]]:
    images = torch.randint(256, (12, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return DataLoader(TensorDataset(images, LABELS), batch_size=4)


def trainer(*callbacks: Any, epochs: int = 2, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[*callbacks], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip


def test_rates_rise_again_only_where_layers_were_unfrozen(model: ImageClassifier) -> None:
    trainer(GradualUnfreezing(every_n_epochs=1, warmup_epochs=1.0)).fit(model, loader())
    assert model.layers.unfrozen_at
    trainer(GradualUnfreezing()).fit(model, loader())
    assert not model.layers.unfrozen_at


def test_images_that_grew_are_whole_again(model: ImageClassifier) -> None:
    trainer(ProgressiveResizing(start=0.5, until=1.0, multiple=8)).fit(model, loader())
    assert model.train_size is not None
    trainer(ProgressiveResizing()).fit(model, loader())
    assert model.train_size is None


def test_an_epoch_that_was_broken_off_counts_no_more(model: ImageClassifier) -> None:
    def fail(*_: object) -> None:
        raise InterruptedError

    broken = trainer(epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "on_train_epoch_end", fail)
        with pytest.raises(InterruptedError):
            broken.fit(model, loader())
    counted: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "on_train_epoch_end", lambda: counted.extend(model.accuracy.state(model.device)))
        trainer(epochs=1).fit(model, loader())
    assert counted[1] == 12


def test_a_search_for_the_rate_learns_from_the_teacher_and_goes_on_beyond_the_epochs(
    model: ImageClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[int] = []
    learn_from = Distillation()
    learn_from._loaded = Teacher(deepcopy(model).eval(), model.class_names, model.normalize)
    answer = Teacher.__call__
    monkeypatch.setattr(Teacher, "__call__", lambda self, pixels: taught.append(1) or answer(self, pixels))  # type: ignore[func-returns-value]
    finder = LearningRateFinder(enabled=True, steps=25)
    monkeypatch.setattr(finder, "_report", lambda _: None)
    search = trainer(finder, learn_from, default_root_dir=str(tmp_path))
    search.fit(model, loader())  # 3 batches an epoch
    assert finder.optimal_lr is not None
    assert len(finder.optimal_lr.results["lr"]) == len(taught) == 25
    assert search.max_epochs == 2


@pytest.mark.slow
def test_fewer_steps_than_an_epoch_are_a_run(run: Run, tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=-1", "--trainer.max_steps=3")
    folder = tmp_path / "logs/demo/version_0/checkpoints"
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 3
    run("fit", "--trainer.max_epochs=-1", "--trainer.max_steps=10", "--ckpt_path=last")
    last = torch.load(folder / "last.ckpt", weights_only=True)
    assert (last["global_step"], last["epoch"]) == (10, 2)
    assert (folder / "best.ckpt").exists()


@pytest.mark.slow
def test_a_run_that_stopped_early_trains_no_further_unless_it_has_more_patience(run: Run, tmp_path: Path) -> None:
    options = ["--early_stopping.min_delta=2", "--trainer.max_epochs=6"]  # which no score exceeds
    run("fit", "--early_stopping.patience=1", *options)
    last = tmp_path / "logs/demo/version_0/checkpoints/last.ckpt"
    for patience, epochs in ((1, 2), (1, 2), (2, 3)):
        run("fit", f"--early_stopping.patience={patience}", *options, "--ckpt_path=last")
        assert torch.load(last, weights_only=True)["epoch"] == epochs - 1


@pytest.mark.slow
def test_averages_have_the_precision_of_the_weights(run: Run, tmp_path: Path) -> None:
    run("fit", "--ema.decay=0.9", "--trainer.precision=64-true", "--trainer.max_epochs=1")
    content = torch.load(tmp_path / "logs/demo/version_0/checkpoints/last.ckpt", weights_only=True)
    assert {tensor.dtype for tensor in content["state_dict"].values() if tensor.is_floating_point()} == {torch.float64}


@pytest.mark.slow
def test_a_validation_that_is_not_finite_stops_the_run_and_says_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    forward = ImageClassifier.forward
    monkeypatch.setattr(
        ImageClassifier, "forward", lambda self, images: forward(self, images) * (1 if self.training else torch.inf)
    )
    run("fit", "--early_stopping.monitor=val/loss", "--trainer.max_epochs=3", "--checkpoint.monitor=train/loss")
    assert any("val/loss is nan" in str(warning.message) for warning in recwarn)
    model = torch.load(tmp_path / "logs/demo/version_0/checkpoints/last.ckpt", weights_only=True)
    assert (model["epoch"], model["calibration"]["temperature"]) == (0, 1)


def test_a_search_needs_a_rate(mistake: Callable[..., str]) -> None:
    assert "model.learning_rate is 0" in mistake("fit", "--lr_finder.enabled=true", "--model.learning_rate=0")
