import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.slow

RECIPES = {
    "unfreezing by epochs": ["--unfreezing.epochs=[1,2]"],
    "a number of steps": ["--trainer.max_epochs=-1", "--trainer.max_steps=16", "--unfreezing.epochs=[1,2]"],
    "everything that has a state": [  # a group is unfrozen after the second validation and each one after
        "--unfreezing.patience=1", "--unfreezing.min_delta=2", "--ema.decay=0.9", "--model.mixup_alpha=0.4",
        "--model.cutmix_alpha=1", "--progressive_resizing.start=0.5", "--data.balanced_sampling=true",
        "--data.random_erasing=0.5", "--model.layer_decay=0.8", "--trainer.accumulate_grad_batches=2",
    ],
}  # fmt: skip
PROBE = "tests.support.probes."


def last_checkpoint(run_folder: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(run_folder / "checkpoints/last.ckpt", weights_only=True)
    return checkpoint


def assert_same(mine: Any, theirs: Any, path: str = "") -> None:
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            assert_same(value, theirs[key], f"{path}/{key}")
    elif isinstance(mine, list | tuple):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert_same(one, other, path)
    elif isinstance(mine, torch.Tensor):
        assert torch.equal(mine, theirs), path
    else:
        assert mine == theirs, path


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("recipe", RECIPES)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(
    run: Callable[..., None], tmp_path: Path, epoch: int, recipe: str
) -> None:
    # a batch-norm network, whose statistics have to stand still while frozen and carry on afterwards
    network = [
        "--model.backbone=mobilenet_v3_small",
        "--trainer.max_epochs=4",
        "--data.num_workers=1",
        *RECIPES[recipe],
    ]
    record = f"--trainer.callbacks+={PROBE}BatchRecord"
    run("fit", *network, record, f"--trainer.callbacks.file={tmp_path / 'whole.txt'}")
    resumed_record = [record, f"--trainer.callbacks.file={tmp_path / 'torn.txt'}"]
    interruption = [f"--trainer.callbacks+={PROBE}Interruption", f"--trainer.callbacks.epoch={epoch}"]
    with pytest.raises(InterruptedError):
        run("fit", *network, *resumed_record, *interruption)
    torn = tmp_path / "logs/demo/version_1"
    run("fit", *network, *resumed_record, "--ckpt_path=last")

    assert (tmp_path / "whole.txt").read_text() == (tmp_path / "torn.txt").read_text()
    assert not (tmp_path / "logs/demo/version_2").exists()
    whole, resumed = last_checkpoint(tmp_path / "logs/demo/version_0"), last_checkpoint(torn)
    assert whole["epoch"] == resumed["epoch"] == 3
    assert len(whole["unfrozen_at"]) == 2
    for key in whole:
        if key in ("state_dict", "current_model_state", "averaging_state", "unfrozen_at"):
            assert_same(whole[key], resumed[key])
    for name, state in whole["callbacks"].items():
        if "Checkpoint" not in name:  # its state names files
            assert_same(state, resumed["callbacks"][name])
    for key in ("optimizer_states", "lr_schedulers"):
        assert_same(whole[key][0], resumed[key][0])
    config = yaml.safe_load((torn / "config.yaml").read_text())
    assert config["ckpt_path"] is None
    assert (torn / "resume-config.yaml").is_file()


def test_what_is_set_wins_over_the_checkpoint(
    run: Callable[..., None], mistake: Callable[..., str], tmp_path: Path
) -> None:
    run("fit")
    longer = ["--ckpt_path=last", "--trainer.max_epochs=4"]
    run("fit", *longer, "--model.learning_rate=0.002", "--model.weight_decay=0.3")
    run_dir = tmp_path / "logs/demo/version_0"
    groups = last_checkpoint(run_dir)["optimizer_states"][0]["param_groups"]
    assert {group["initial_lr"] for group in groups} == {0.002}
    assert {group["weight_decay"] for group in groups} == {0.3, 0.0}  # norms and biases aren't decayed
    rates = {event.step: event.value for event in EventAccumulator(str(run_dir)).Reload().Scalars("lr/head")}
    steps = last_checkpoint(run_dir)["global_step"]
    assert rates[steps // 2 - 1] == pytest.approx(0.0005 * (1 + math.cos(math.pi * (1 - 2 / steps))) / 2)
    assert rates[steps // 2] == pytest.approx(0.001)
    assert rates[steps - 1] < rates[steps // 2]
    assert "model.optimizer adamw" in mistake("fit", *longer, "--model.optimizer=sgd")


def test_a_resumed_run_remembers_its_best_score(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit")
    first = tmp_path / "logs/demo/version_0"
    moved = tmp_path / "elsewhere/demo/version_0"
    moved.parent.mkdir(parents=True)
    first.rename(moved)
    best = torch.load(moved / "checkpoints/best.ckpt", weights_only=True)
    # the head begins to unlearn: no later epoch may pass for best
    unlearning = "--model.learning_rate=1"
    run("fit", "--trainer.max_epochs=3", "--ckpt_path=last", f"--logs={moved.parents[1]}", unlearning)
    again = torch.load(moved / "checkpoints/best.ckpt", weights_only=True)
    assert again["epoch"] == best["epoch"]
    assert last_checkpoint(moved)["epoch"] == 2
