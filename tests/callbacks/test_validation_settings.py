"""Saving, stopping and resuming under every setting of when to validate."""

import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks.saving.validation_clock import AGREE_EVERY, ValidationClock
from tests.runs.test_resume import assert_same
from tests.support.interruptions import interrupted
from tests.support.run_files import tensorboard_curves

pytestmark = pytest.mark.slow

SHORT = [
    "--model.backbone=mobilenet_v3_small", "--data.image_size=32", "--data.batch_size=4", "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=8", "--trainer.limit_val_batches=2", "--previews.enabled=false",
    "--unfreezing.epochs=[]", "--ema.decay=0.9", "--early_stopping.patience=null", "--data.random_erasing=0.5",
    "--trainer.num_sanity_val_steps=0",
]  # fmt: skip
INTERVAL, EPOCHS = "--trainer.val_check_interval=", "--trainer.check_val_every_n_epoch="
NEVER = "--trainer.limit_val_batches=0"
SETTINGS = {
    "after half an epoch": [f"{INTERVAL}0.5"],
    "after three batches": [f"{INTERVAL}3"],
    "after each batch": [f"{INTERVAL}1"],
    "after five batches across epochs": [f"{INTERVAL}5", f"{EPOCHS}null"],
    "after ten batches across epochs": [f"{INTERVAL}10", f"{EPOCHS}null"],
    "in each second epoch": [f"{INTERVAL}2", f"{EPOCHS}2"],
    "after an hour": [f"{INTERVAL}00:01:00:00"],
    "after no time": [f"{INTERVAL}00:00:00:00"],
    "never, though asked for": [NEVER, f"{INTERVAL}1"],
    "never, since all images train": ["--data.val_fraction=0"],
}
CASES = [
    ("after half an epoch", 3, "validation", 0),
    ("after half an epoch", 1, "validated", 0),
    ("after three batches", 2, "batch", 2),
    ("after each batch", 2, "validation", 4),
    ("after five batches across epochs", 1, "validated", 1),
    ("after ten batches across epochs", 2, "batch", 9),
    ("in each second epoch", 1, "batch", 2),
    ("after an hour", 1, "batch", 2),
    ("after an hour", 2, "batch", 10),
    ("after no time", 2, "validated", 3),
    ("never, though asked for", 2, "batch", 2),
    ("never, since all images train", 2, "batch", 2),
]


def saves(file: Path) -> list[int]:
    """Read after how many optimizer steps ``last.ckpt`` was written."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return [int(step) for name, step in lines if name == "last.ckpt"]


def assert_same_runs(whole: Path, torn: Path) -> None:
    mine, theirs = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (whole, torn))
    for key in mine.keys() - {"callbacks", "hyper_parameters", "config", "scores"}:
        assert_same(mine[key], theirs[key], key)
    assert tensorboard_curves(whole) == tensorboard_curves(torn)


@pytest.mark.parametrize(("setting", "accumulated", "moment", "count"), CASES)
def test_a_run_is_saved_stopped_and_resumed_whenever_it_validates(
    run: Callable[..., None], tmp_path: Path, setting: str, accumulated: int, moment: str, count: int
) -> None:
    options = [*SHORT, *SETTINGS[setting], f"--trainer.accumulate_grad_batches={accumulated}"]
    record = "--trainer.callbacks+=tests.support.probes.Saves"
    run("fit", *options, "--checkpoint.every_n_steps=2", record, f"--trainer.callbacks.file={tmp_path / 'saves'}")
    steps = [0, *saves(tmp_path / "saves"), 2 * -(-8 // accumulated)]
    assert max(later - earlier for earlier, later in pairwise(steps)) <= 2
    assert steps[-2] == steps[-1]

    with pytest.raises(SystemExit) as stop:
        run("fit", *options, *interrupted(moment, count, signal.SIGTERM))
    assert stop.value.code == 128 + signal.SIGTERM
    whole, torn = (tmp_path / f"logs/demo/version_{number}" for number in (0, 1))
    stopped = torch.load(torn / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    if moment == "batch":
        epochs, batches = divmod(count + 1, 8)
        made = epochs * -(-8 // accumulated) + batches // accumulated
        assert made <= stopped <= made + 1
    run("fit", *options, "--ckpt_path=last")
    assert_same_runs(whole, torn)


@pytest.mark.parametrize("setting", ["after each batch", "after no time"])
def test_the_best_of_all_validations_is_kept(
    run: Callable[..., None], scores_of: Callable[..., dict[str, Any]], tmp_path: Path, setting: str
) -> None:
    options = [*SHORT, *SETTINGS[setting], "--trainer.accumulate_grad_batches=3", "--model.learning_rate=0.05"]
    run("fit", *options, "--trainer.limit_val_batches=null")
    folder = tmp_path / "logs/demo/version_0"
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    scores = [event.value for event in events.Scalars("val/f1")]  # several at a step, where gradients are summed
    best = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)["scores"]["val/f1"]
    assert len(scores) >= 4
    assert best == pytest.approx(max(scores))
    assert scores_of("fit_scores.json")["best val/f1"] == pytest.approx(best)
    run("validate", *SHORT[:2], f"--ckpt_path={folder / 'checkpoints/best.ckpt'}")
    assert scores_of("val_scores.json")["val/f1"] == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("setting", ["after half an epoch", "after no time"])
def test_training_goes_on_from_a_best_checkpoint_within_an_epoch(
    run: Callable[..., None], tmp_path: Path, setting: str
) -> None:
    options = [*SHORT, *SETTINGS[setting], "--model.learning_rate=1"]  # no later validation is better
    run("fit", *options)
    whole, other = (tmp_path / f"logs/demo/version_{number}" for number in (0, 1))
    best = whole / "checkpoints/best.ckpt"
    assert torch.load(best, weights_only=True)["global_step"] % 8
    run("fit", *options, f"--ckpt_path={best}")
    mine, theirs = (torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in (whole, other))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "loops"):
        assert_same(mine[key], theirs[key], key)


@pytest.mark.parametrize("others", [False, True])
def test_devices_validate_by_one_clock(others: bool) -> None:
    decisions: list[bool] = []

    def decide(decision: bool, all: bool) -> bool:  # noqa: A002 - named by Lightning
        decisions.append(decision)
        return decision or others

    trainer: Any = SimpleNamespace(
        _val_check_time_interval=3600.0,
        _last_val_time=time.monotonic(),
        world_size=2,
        global_step=0,
        strategy=SimpleNamespace(reduce_boolean_decision=decide),
    )
    clock = ValidationClock()
    for step in (0, 1, AGREE_EVERY):
        trainer.global_step = step
        clock.agree(trainer)
        due = time.monotonic() - trainer._last_val_time >= 3600  # as Lightning asks
        assert due is (others and step % AGREE_EVERY == 0)
    trainer._last_val_time = time.monotonic() - 3601
    clock.agree(trainer)
    assert time.monotonic() - trainer._last_val_time >= 3600
    assert decisions == [False, False, True]
