"""Whether patience can reach the input is known before anything is trained."""

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from callbacks import GradualUnfreezing
from callbacks.frozen_for_good import patience_advice
from lightning_modules import ImageClassifier

BATCHES = 4
ONE_DEVICE = SimpleNamespace(broadcast=lambda value: value)


def trainer_of(epochs: int, interval: int = BATCHES, every: int | None = 1, epoch: int = 0) -> Any:
    return SimpleNamespace(
        max_epochs=epochs, max_steps=-1, num_training_batches=BATCHES, accumulate_grad_batches=1, fast_dev_run=False,
        current_epoch=epoch, val_check_batch=interval, check_val_every_n_epoch=every, sanity_checking=False,
        state=SimpleNamespace(fn="fit"), strategy=ONE_DEVICE,
        callback_metrics={"val/f1": torch.tensor(0.5)},
    )  # fmt: skip


def stay_frozen(trainer: Any, unfreezing: GradualUnfreezing, groups: list[str]) -> list[str]:
    """Train with a score that never improves, and list what is frozen in the last epoch."""
    for batch in range(trainer.current_epoch * BATCHES, trainer.max_epochs * BATCHES):
        epoch, step = divmod(batch, BATCHES)
        if step == 0:
            unfreezing.unfrozen = unfreezing.stalls  # as at the start of an epoch
            frozen = unfreezing.frozen_groups(groups, epoch)
        every = trainer.check_val_every_n_epoch
        counted = batch if every is None else step
        if (counted + 1) % trainer.val_check_batch == 0 and (every is None or (epoch + 1) % every == 0):
            unfreezing.on_validation_end(trainer, None)  # type: ignore[arg-type]
    return frozen


def test_what_is_said_at_the_start_is_what_the_worst_score_leaves_frozen() -> None:
    groups = [f"stage{number}" for number in range(6)] + ["head"]
    schedules = product((1, 2, 3), range(1, 25, 2), ((4, 1), (2, 1), (4, 2), (3, 1), (6, None)), (0, 2))
    for patience, epochs, (interval, every), epoch in schedules:
        trainer = trainer_of(epochs, interval, every, min(epoch, epochs - 1))
        unfreezing = GradualUnfreezing(patience=patience)
        if trainer.current_epoch:  # continues
            unfreezing.stalls, unfreezing.waited, unfreezing.best = 1, patience - 1, 0.9
            unfreezing.unfrozen = 1
        waited = unfreezing.waited if trainer.current_epoch else -1
        now = unfreezing.frozen_groups(groups, 0)
        said = patience_advice(trainer, now, epochs, patience, waited, "val/f1")
        named = re.search(r"never improves: (.*), since", said) if said else None
        before = unfreezing.state_dict()
        assert stay_frozen(trainer, unfreezing, groups) == (named[1].split(", ") if named else []), (trainer, patience)
        if said is None:
            continue
        needed = re.search(r"Train for (\d+) epochs", said)
        assert needed is not None
        for run, enough in ((int(needed[1]), True), (int(needed[1]) - 1, False)):
            unfreezing.load_state_dict(before)
            trainer.max_epochs = run
            assert (stay_frozen(trainer, unfreezing, groups) == []) == enough
        lower = re.search(r"set unfreezing.patience to (\d+)", said)
        if lower:
            trainer.max_epochs = epochs
            unfreezing = GradualUnfreezing(patience=int(lower[1]))
            unfreezing.load_state_dict(before)
            assert stay_frozen(trainer, unfreezing, groups) == []


def test_a_network_of_many_groups_says_beforehand_that_patience_is_too_great() -> None:
    pytest.importorskip("timm")
    module = ImageClassifier("timm/vit_tiny_patch16_224", None, ["a", "b"], image_size=32)
    groups = len(module.group_names) - 1
    assert groups >= 12
    unfreezing = GradualUnfreezing(patience=2)
    module.freeze_groups(unfreezing.frozen_groups([*module.group_names], 0))
    said = rf"{groups} groups are frozen and the run has 20 epochs. Train for {2 * groups + 2} "
    with pytest.warns(UserWarning, match=said):
        unfreezing.on_train_start(trainer_of(20), module)


def test_the_command_says_so_before_the_first_epoch(
    run: Callable[..., None], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    probe = ["--unfreezing.patience=2", "--trainer.max_epochs=1", "--previews.enabled=false"]
    run("fit", *probe, "--trainer.limit_val_batches=1")
    said = [str(item.message) for item in recwarn if "Frozen for good" in str(item.message)]
    assert len(said) == 1
    assert "Frozen for good, even if val/f1 never improves: stage1, stage2, stage3, stage4, since" in said[0]
