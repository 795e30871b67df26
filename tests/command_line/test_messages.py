"""What a run says, and when it has to say it."""

import io
import logging
import shlex
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import ModelSummary as LightningModelSummary

from callbacks import GradualUnfreezing, ModelSummary
from command_line.console import quieten
from command_line.strict_trainer import StrictTrainer
from datamodules import ToyCarsDataModule
from lightning_modules import ImageClassifier
from runs.commands import next_command

pytestmark = pytest.mark.slow

Run = Callable[..., None]
Scores = Callable[..., dict[str, Any]]


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What Lightning's loggers print."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero")]
    quieten()
    for logger in loggers:
        logger.addHandler(handler)
    yield stream
    for logger in loggers:
        logger.removeHandler(handler)


def test_a_dry_run_reports_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("fit", "--trainer.fast_dev_run=true", "--unfreezing.every_n_epochs=1")
    assert "next:" not in capsys.readouterr().out


def test_early_stopping_says_so(run: Run, said: io.StringIO, scores_of: Scores) -> None:
    run("fit", "--trainer.max_epochs=9", "--early_stopping.patience=1", "--early_stopping.min_delta=2")
    assert "Stopped early after 2 epochs: val/f1 hasn't improved for 1 validations" in said.getvalue()
    assert scores_of("fit_scores.json")["epochs"] == 2


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_stop_tells_how_to_go_on(run: Run, said: io.StringIO, tmp_path: Path, weights_only: bool) -> None:
    stop = ["--trainer.callbacks+=tests.support.interruptions.Signal", "--trainer.callbacks.moment=validation"]
    run_folder = tmp_path / "my logs/demo/version_0"
    with pytest.raises(SystemExit) as stopped:
        run(
            "fit", *stop, f"--trainer.callbacks.number={int(signal.SIGTERM)}",
            f"--trainer.logger.init_args.save_dir={tmp_path / 'my logs'}",
            f"--checkpoint.save_weights_only={weights_only}",
        )  # fmt: skip
    assert stopped.value.code == 128 + signal.SIGTERM
    lines = said.getvalue().splitlines()
    assert lines[-1] == f"next: python train.py fit '{run_folder}'"


@pytest.mark.parametrize("name", ["plain", "with space", "it's $HOME; rm -rf *", "中文"])
def test_commands_can_be_pasted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "logs" / name
    assert shlex.split(next_command("test", folder)) == ["python", "train.py", "test", f"logs/{name}"]
    assert shlex.split(next_command("fit", Path("/") / name))[-1] == f"/{name}"
    assert shlex.split(next_command("fit", tmp_path))[-1] == "."


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_drawing_shows_progress_on_a_terminal_and_a_line_elsewhere(
    stream: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    ToyCarsDataModule(root=str(tmp_path), train_images=1, test_images=1).prepare_data()
    lines = "drawing cars for train, 8 images\ndrawing cars for test, 8 images\n"
    assert ("\r" in stream.getvalue()) == stream.isatty() == (stream.getvalue() != lines)


def test_the_summary_is_short_and_can_be_left_out(run: Run, said: io.StringIO) -> None:
    one = ["--trainer.max_epochs=1", "--trainer.enable_model_summary=true"]
    run("fit", *one, "--unfreezing.epochs=[]")
    text = said.getvalue()
    assert "squeezenet1_1, random weights, 8 classes\n0.727 M parameters, 0.004 M trained at first:\n" in text
    assert "  stage4    0.602 M  frozen\n  head      0.004 M\n" in text
    assert "(a linear probe); stage1, stage2, stage3, stage4 stay frozen." in text
    for noise in ("TPU", "FLOP", "Flops", "Mode", "MeanMetric", "estimate number", "max_epochs=", "litlogger"):
        assert noise not in text
    said.truncate(0)
    run("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--trainer.enable_model_summary=true")
    assert "weights of" in said.getvalue()
    assert "random weights" not in said.getvalue()
    said.truncate(0)
    run("fit", "--trainer.max_epochs=1", "--trainer.enable_model_summary=false")
    assert "0.727 M" not in said.getvalue()


class OwnSummary(LightningModelSummary):
    """As Lightning's RichModelSummary, which needs a further package."""


def test_a_users_own_summary_is_not_doubled() -> None:
    chosen: list[Any] = [None, [], [OwnSummary()], OwnSummary()]
    for own in chosen:
        trainer: Any = StrictTrainer(callbacks=own, logger=False, accelerator="cpu")
        summaries = [type(item) for item in trainer.callbacks if isinstance(item, LightningModelSummary)]
        assert summaries == [OwnSummary if own else ModelSummary]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["every_n_epochs=2"], "stage3, since unfreezing.every_n_epochs is 2 and the run has 4 epochs. Train for 9"),
        (["every_n_epochs=3"], "Train for 13 epochs or more (trainer.max_epochs)."),
        (["epochs=[1,9]"], "good: stage1, stage2, stage3, since unfreezing.epochs is [1, 9] and the run has 4"),
    ],
)  # fmt: skip
def test_groups_that_stay_frozen_are_named(run: Run, options: list[str], expected: str) -> None:
    stop = ["--trainer.callbacks+=tests.support.probes.Interruption", "--trainer.callbacks.epoch=0"]
    with pytest.warns(UserWarning, match="Frozen for good") as warned, pytest.raises(InterruptedError):
        run("fit", "--trainer.max_epochs=4", *(f"--unfreezing.{option}" for option in options), *stop)
    message = next(str(item.message) for item in warned if "Frozen for good" in str(item.message))
    assert expected in message


@pytest.mark.parametrize(
    ("schedule", "epochs", "steps", "frozen"),
    [
        ({"every_n_epochs": 2}, 11, -1, False),
        ({"every_n_epochs": 2}, 10, -1, True),
        ({"every_n_epochs": 2}, 11, 50, True),  # 5 steps an epoch
        ({"every_n_epochs": 2}, -1, 50, True),
        ({"every_n_epochs": 2}, -1, 51, False),
        ({"epochs": [1, 1, 2, 2, 3]}, 4, -1, False),
        ({"epochs": [1, 1, 2, 2, 3]}, 3, -1, True),
        ({}, 1, -1, False),
    ],
)
def test_a_warning_comes_just_when_something_stays_frozen(
    schedule: dict[str, Any], epochs: int, steps: int, frozen: bool, recwarn: pytest.WarningsRecorder
) -> None:
    module = ImageClassifier("resnet18", None, ["a", "b"])
    unfreezing = GradualUnfreezing(**schedule)
    trainer: Any = SimpleNamespace(
        max_epochs=epochs, max_steps=steps, num_training_batches=10, accumulate_grad_batches=2,
        fast_dev_run=False, current_epoch=0, strategy=None,
    )  # fmt: skip
    unfreezing.on_train_start(trainer, module)
    assert bool([item for item in recwarn if "Frozen for good" in str(item.message)]) == frozen


def test_patience_tells_at_the_end_what_it_never_unfroze(run: Run) -> None:
    with pytest.warns(UserWarning, match="Never unfrozen: stage1, stage2, stage3, since val/f1 did not stall"):
        run("fit", "--trainer.max_epochs=3", "--unfreezing.patience=1", "--unfreezing.min_delta=2")


def test_a_monitor_that_is_no_score_gets_one_line(mistake: Callable[..., str]) -> None:
    answer = mistake("fit", "--checkpoint.monitor=val/f2", "--early_stopping.patience=null")
    assert "checkpoint.monitor is 'val/f2', but there are only train/accuracy" in answer


def test_warnings_name_our_options_and_no_line_of_ours() -> None:
    quieten()
    advice = (
        "The 'train_dataloader' does not have many workers which may be a bottleneck. Consider increasing the value of "
        "the `num_workers` argument` to `num_workers=7` in the `DataLoader` to improve performance."
    )
    lightning = "/env/site-packages/lightning/pytorch/data_connector.py"
    assert warnings.formatwarning(advice, UserWarning, lightning, 1) == (
        "warning: Few processes load images for train_dataloader: data.num_workers may go up to 7 here.\n"
    )
    other = warnings.formatwarning("overflow", RuntimeWarning, "/env/site-packages/numpy/core.py", 3)
    assert other == "warning: overflow (RuntimeWarning, /env/site-packages/numpy/core.py:3)\n"
