from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import FSDPStrategy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from callbacks import EarlyStopping, GradualUnfreezing
from lightning_modules import ImageClassifier
from lightning_modules.training.freezable_layers import FreezableLayers
from tests.runs.test_resume import last_checkpoint
from train import main

GROUPS = ["stem", "layer1", "layer2", "head"]


def test_the_schedule_unfreezes_from_head_to_input() -> None:
    interval = GradualUnfreezing(every_n_epochs=2)
    assert [len(interval.frozen_groups(GROUPS, epoch)) for epoch in range(8)] == [3, 3, 2, 2, 1, 1, 0, 0]
    assert interval.frozen_groups(GROUPS, 2) == ["stem", "layer1"]
    listed = GradualUnfreezing(epochs=[1, 5])
    assert [len(listed.frozen_groups(GROUPS, epoch)) for epoch in range(7)] == [3, 2, 2, 2, 2, 1, 1]
    assert [listed.is_complete(GROUPS, epoch) for epoch in range(7)] == [False] * 5 + [True] * 2
    probe = GradualUnfreezing(epochs=[])
    assert probe.frozen_groups(GROUPS, 99) == ["stem", "layer1", "layer2"]
    assert probe.is_complete(GROUPS, 0)
    assert GradualUnfreezing().frozen_groups(GROUPS, 0) == []


def begin_epoch(unfreezing: GradualUnfreezing) -> None:
    unfreezing.unfrozen = unfreezing.stalls


def test_what_is_due_within_an_epoch_waits_for_the_next_one_after_a_resumption_too() -> None:
    unfreezing = GradualUnfreezing(patience=1)
    module = ImageClassifier("resnet18", None, ["a", "b"])
    trainer = _trainer(module, [unfreezing], 0)
    trainer.callback_metrics = {"val/f1": torch.tensor(0.5)}
    for _ in range(3):
        unfreezing.on_validation_end(trainer, module)
    assert unfreezing.stalls == 2
    resumed = GradualUnfreezing(patience=1)
    resumed.load_state_dict(unfreezing.state_dict())
    assert resumed.frozen_groups(GROUPS, 0) == unfreezing.frozen_groups(GROUPS, 0) == GROUPS[:-1]
    assert not resumed.is_complete(GROUPS, 0)
    begin_epoch(resumed)
    assert resumed.frozen_groups(GROUPS, 1) == GROUPS[:1]
    earlier = GradualUnfreezing(patience=1)
    earlier.load_state_dict({"stalls": 2, "waited": 0, "best": 0.5})  # of a version that didn't tell them apart
    assert earlier.frozen_groups(GROUPS, 1) == GROUPS[:1]


def test_a_stalling_score_unfreezes_a_group() -> None:
    unfreezing = GradualUnfreezing(patience=2, min_delta=0.01)
    module = ImageClassifier("resnet18", None, ["a", "b"])
    unfrozen = []
    for epoch, score in enumerate([0.1, 0.2, 0.205, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]):
        trainer = _trainer(module, [unfreezing], epoch)
        trainer.callback_metrics = {"val/f1": torch.tensor(score)}
        unfreezing.on_validation_end(trainer, module)
        begin_epoch(unfreezing)
        unfrozen.append(len(GROUPS) - 1 - len(unfreezing.frozen_groups(GROUPS, epoch + 1)))
        resumed = GradualUnfreezing(patience=2, min_delta=0.01)
        resumed.load_state_dict(unfreezing.state_dict())
        unfreezing = resumed
    assert unfrozen == [0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert unfreezing.is_complete(GROUPS, 9)
    trainer.callback_metrics = {"val/accuracy": torch.tensor(0.5)}
    with pytest.raises(MisconfigurationException, match="only val/accuracy"):
        unfreezing.on_validation_end(trainer, module)


def test_what_was_just_unfrozen_warms_up_and_what_is_frozen_has_no_rate(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = ["--unfreezing.epochs=[1,2]", "--unfreezing.warmup_epochs=0.5", "--trainer.max_epochs=3"]
    run("fit", *schedule, "--model.layer_decay=0.5")  # 4 steps an epoch, 2 of them warm up
    events = EventAccumulator(str(tmp_path / "logs/demo/version_0")).Reload()
    rates = {group: [event.value for event in events.Scalars(f"lr/{group}")] for group in ("stage3", "stage4", "head")}
    assert all(rate > 0 for rate in rates["head"])
    for group, first, share in (("stage4", 4, 0.5), ("stage3", 8, 0.25)):
        assert rates[group][:first] == [0] * first
        ratios = [rate / head / share for rate, head in zip(rates[group][first:], rates["head"][first:], strict=True)]
        assert ratios == pytest.approx([0.01, 0.505] + [1.0] * (10 - first), rel=1e-4)
    assert {event.value for event in events.Scalars("lr/stage1")} == {0}


def test_a_strategy_that_cannot_unfreeze_layers_is_refused() -> None:
    module = ImageClassifier("resnet18", None, ["a", "b"])
    trainer = _trainer(module, [], 0)
    trainer.strategy = FSDPStrategy()
    with pytest.raises(MisconfigurationException, match="not with FSDPStrategy"):
        GradualUnfreezing(epochs=[]).setup(trainer, module, "fit")
    GradualUnfreezing().setup(trainer, module, "fit")


@pytest.mark.slow
def test_frozen_layers_stand_still_batch_norm_included(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", "--model.backbone=mobilenet_v3_small", "--unfreezing.epochs=[1]", "--trainer.max_epochs=1")
    first = _state(tmp_path / "logs/demo/version_0")
    model = ImageClassifier("mobilenet_v3_small", None, [str(number) for number in range(8)])
    for epoch, folder in ((1, "version_1"), (2, "version_2")):
        run("fit", "--model.backbone=mobilenet_v3_small", "--unfreezing.epochs=[1]", f"--trainer.max_epochs={epoch}")
        state = _state(tmp_path / "logs/demo" / folder)
        unfrozen = {"head"} if epoch == 1 else {"head", "stage5"}
        initial = _initial_state()
        for group, names in model.group_names.items():
            prefixes = {name.rpartition(".")[0] for name in names}
            moved = [
                name
                for name, tensor in state.items()
                if name.startswith("network.")
                and name.removeprefix("network.").rpartition(".")[0] in prefixes
                and not torch.equal(tensor, initial[name])
            ]
            assert bool(moved) == (group in unfrozen), (epoch, group, moved)
    assert first


def _state(run_folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run_folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return state


def _initial_state() -> dict[str, torch.Tensor]:
    import lightning as L

    L.seed_everything(42)
    names = [str(number) for number in range(8)]
    return ImageClassifier("mobilenet_v3_small", None, names, image_size=64).state_dict()


def test_train_mode_leaves_frozen_layers_in_eval_mode() -> None:
    model = ImageClassifier("resnet18", None, ["a", "b"])
    model.freeze_groups(["stem", "layer1"])
    model.eval()
    model.train()
    network = model.network
    assert not network.get_submodule("bn1").training
    assert not network.get_submodule("layer1.0.bn1").training
    assert network.get_submodule("layer2.0.bn1").training
    before = network.get_buffer("layer1.0.bn1.running_mean").clone()
    model(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)).sum().backward()
    assert torch.equal(network.get_buffer("layer1.0.bn1.running_mean"), before)
    assert network.get_parameter("layer1.0.conv1.weight").grad is None
    assert network.get_parameter("layer2.0.conv1.weight").grad is not None


def _trainer(module: ImageClassifier, callbacks: list[Any], epoch: int) -> Any:
    return SimpleNamespace(
        lightning_module=module,
        callbacks=callbacks,
        current_epoch=epoch,
        state=SimpleNamespace(fn="fit"),
        sanity_checking=False,
        strategy=SimpleNamespace(broadcast=lambda value: value),
        callback_metrics={"val/f1": 0.5},
        max_steps=-1,
        global_step=0,
    )


def test_early_stopping_waits_for_the_last_group() -> None:
    module = ImageClassifier("resnet18", None, ["a", "b"])
    stopping = EarlyStopping(patience=1)
    unfreezing = GradualUnfreezing(every_n_epochs=1)
    waits = [stopping._should_skip_check(_trainer(module, [unfreezing], epoch)) for epoch in range(7)]
    assert waits == [True] * 5 + [False] * 2  # six groups: the last is unfrozen at epoch 5
    stalling = GradualUnfreezing(patience=1)
    assert stopping._should_skip_check(_trainer(module, [stalling], 99))
    stalling.stalls = 5  # due at the next epoch, and still frozen
    assert stopping._should_skip_check(_trainer(module, [stalling], 5))
    begin_epoch(stalling)
    assert not stopping._should_skip_check(_trainer(module, [stalling], 6))
    assert not stopping._should_skip_check(_trainer(module, [GradualUnfreezing()], 0))
    assert EarlyStopping(patience=None)._should_skip_check(_trainer(module, [], 9))


def test_early_stopping_keeps_the_configured_patience_on_resume() -> None:
    old, new = EarlyStopping(patience=2), EarlyStopping(patience=50)
    old.wait_count = 1
    new.load_state_dict(old.state_dict())
    assert (new.patience, new.wait_count) == (50, 1)


def test_early_stopping_stops(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=9", "--early_stopping.patience=1", "--early_stopping.min_delta=2")
    last = torch.load(tmp_path / "logs/demo/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--unfreezing.epochs=[3,2]"],
        ["--unfreezing.every_n_epochs=0"],
        ["--unfreezing.epochs=[1]", "--unfreezing.every_n_epochs=1"],
    ],
)
def test_impossible_schedules_are_refused(mistake: Callable[..., str], options: list[str]) -> None:
    assert "unfreezing" in mistake("fit", *options)


@pytest.mark.slow
def test_a_run_goes_on_without_its_schedule(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", "--unfreezing.epochs=[1]", "--trainer.max_epochs=2")
    folder = tmp_path / "logs/demo/version_0"
    main(["fit", str(folder), "--unfreezing.epochs=null", "--unfreezing.warmup_epochs=0", "--trainer.max_epochs=3"])
    assert last_checkpoint(folder)["epoch"] == 2


def test_steps_of_an_earlier_training_do_not_lower_rates() -> None:
    layers = FreezableLayers(nn.Linear(2, 2), {"head": ["weight", "bias"]})
    layers.restore({"unfrozen_at": {"head": 100}})
    for warmup_steps in (0, 5):
        layers.warmup_steps = warmup_steps
        assert layers.rate_factor("head", 0) == 1
    assert layers.rate_factor("head", 100) == pytest.approx(0.01)
    assert layers.rate_factor("head", 105) == 1
