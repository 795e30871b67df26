"""What a run says, and when it has to say it."""

import io
import json
import logging
import shlex
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelSummary as LightningModelSummary
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import Checkpoint, GradualUnfreezing, ModelSummary
from command_line.console import quieten
from command_line.strict_trainer import StrictTrainer
from datamodules import ToyCarsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.scoring.classification_metrics import ClassificationMetrics
from runs.commands import next_command

pytestmark = pytest.mark.slow

Run = Callable[..., None]
Scores = Callable[..., dict[str, Any]]
PLUNGE = ["--model.learning_rate=1"]  # no later epoch is better


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


def content(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = torch.load(path, weights_only=True)
    return read


def test_the_best_epochs_scores_are_reported(
    run: Run, scores_of: Scores, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    logs = "--trainer.logger.init_args.save_dir=logs"
    run("fit", logs, "--trainer.max_epochs=2", "--model.learning_rate=0.003")
    folder = tmp_path / "logs/demo/version_0"
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="(Checkpoint directory|.* holds checkpoints of another run)")
        run("fit", logs, "--trainer.max_epochs=4", "--ckpt_path=last", *PLUNGE)  # best comes from before
    printed = capsys.readouterr().out
    fit = scores_of("fit_scores.json")
    best, last = (content(folder / f"checkpoints/{name}.ckpt") for name in ("best", "last"))
    run("validate", "--ckpt_path=best", "--tta.enabled=false")
    measured = {name: value for name, value in scores_of("val_scores.json").items() if name.startswith("val/")}
    assert len(measured) == 7
    assert {name: fit[name] for name in measured} == pytest.approx(measured, abs=1e-5)
    assert {name: best["scores"][name] for name in measured} == pytest.approx(measured, abs=1e-5)
    assert 0 <= fit["train/accuracy"] == best["scores"]["train/accuracy"] <= 1
    assert last["scores"]["val/f1"] < fit["val/f1"] == pytest.approx(fit["best val/f1"])
    assert (fit["epochs"], fit["best epoch"]) == (4, best["epoch"] + 1)
    assert f"best epoch {fit['best epoch']} of 4, val/f1 {fit['val/f1']:.4f}\n" in printed
    assert f"\naccuracy  {fit['val/accuracy']:8.4f}\n" in printed
    assert "\nnext: python train.py test logs/demo/version_0\n" in printed


def test_scores_in_a_checkpoint_are_those_of_its_weights(run: Run, tmp_path: Path) -> None:
    keeping = [
        "--trainer.callbacks+=tests.support.probes.CheckpointScores",
        f"--trainer.callbacks.file={tmp_path / 'scores'}",
    ]
    run("fit", "--checkpoint.every_n_steps=1", "--data.batch_size=8", *keeping)
    saved = [json.loads(line) for line in (tmp_path / "scores").read_text().splitlines()]
    assert saved[0] == ["before", []]
    assert {kind for kind, _ in saved} == {"before", "between", "ended"}
    for kind, names in saved[1:]:
        if kind == "ended":
            assert set(names) > {"train/accuracy", "train/loss", "val/f1", "val/loss"}
        else:
            assert names == ["train/loss"]


def test_what_is_unknown_is_not_made_up(run: Run, scores_of: Scores, tmp_path: Path, capsys: Any) -> None:
    run("fit")
    folder = tmp_path / "logs/demo/version_0"
    last = content(folder / "checkpoints/last.ckpt")
    state = next(state for name, state in last["callbacks"].items() if name.startswith("Checkpoint"))
    best = float(state["best_model_score"])
    for name in ("best_scores", "best_epoch"):  # as an older version wrote it
        del state[name]
    del last["scores"]
    torch.save(last, folder / "checkpoints/last.ckpt")
    capsys.readouterr()
    run("fit", "--trainer.max_epochs=3", "--ckpt_path=last", *PLUNGE)
    printed = capsys.readouterr().out
    assert scores_of("fit_scores.json") == {
        "epochs": 3, "checkpoint": str(folder / "checkpoints/best.ckpt"), "best val/f1": best, "val/f1": best,
    }  # fmt: skip
    assert f"best of 3 epochs, val/f1 {best:.4f}\n" in printed
    assert "accuracy" not in printed


def test_the_best_of_a_sharded_run_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").mkdir()  # a folder, with a part for each device
    before, after = Checkpoint(), Checkpoint()
    before.dirpath = after.dirpath = str(tmp_path)
    before.best_model_path, before.best_model_score = str(tmp_path / "best.ckpt"), torch.tensor(0.5)
    before.best_scores, before.best_epoch = {"val/f1": 0.5, "val/accuracy": 0.6}, 3
    after.load_state_dict(before.state_dict())
    assert (after.best_scores, after.best_epoch) == (before.best_scores, 3)
    assert after.best_model_score == 0.5
    elsewhere = Checkpoint()
    elsewhere.dirpath = str(tmp_path / "new")
    elsewhere.load_state_dict(before.state_dict())  # begins a run of its own
    assert (elsewhere.best_scores, elsewhere.best_model_score) == ({}, None)


def test_without_validation_there_is_no_best(run: Run, scores_of: Scores, tmp_path: Path, capsys: Any) -> None:
    with pytest.warns(UserWarning, match="since nothing is validated: the run will have last.ckpt and no best.ckpt"):
        run("fit", "--trainer.limit_val_batches=0", "--early_stopping.patience=null")
    fit = scores_of("fit_scores.json")
    assert not [name for name in fit if "val" in name or "best" in name]
    assert fit["checkpoint"].endswith("last.ckpt")
    printed = capsys.readouterr().out
    assert "after 2 epochs, none with a val/f1 to be the best by\n" in printed
    run("test", f"--ckpt_path={tmp_path / 'logs/demo/version_0'}")  # which is what comes next


def test_weights_alone_are_reported_too(run: Run, scores_of: Scores) -> None:
    run("fit", "--checkpoint.save_weights_only=true")
    fit = scores_of("fit_scores.json")
    assert fit["val/f1"] == pytest.approx(fit["best val/f1"])


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
