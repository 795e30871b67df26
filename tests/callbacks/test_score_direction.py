from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks import Checkpoint, EarlyStopping, GradualUnfreezing
from callbacks.score_direction import mode_of
from train import main

CALLBACKS: dict[str, Callable[..., Any]] = {
    "checkpoint": Checkpoint,
    "early_stopping": EarlyStopping,
    "unfreezing": lambda **options: GradualUnfreezing(patience=1, **options),
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_the_direction_follows_from_the_score_and_is_never_the_opposite(name: str) -> None:
    build = CALLBACKS[name]
    for monitor, mode in (("val/loss", "min"), ("val/f1", "max"), ("train/accuracy", "max"), ("val_error", "min"),
                          ("eval_loss", "min"), ("val/loss_epoch", "min"), ("train_accuracy_step", "max")):  # fmt: skip
        for given in (None, mode):
            callback = build(monitor=monitor, mode=given)
            found = ("max" if callback.sign == 1 else "min") if name == "unfreezing" else callback.mode
            assert found == mode
        opposite = "max" if mode == "min" else "min"
        with pytest.raises(MisconfigurationException, match=rf"{name}.mode is {opposite}.*set {name}.mode to {mode}"):
            build(monitor=monitor, mode=opposite)
    with pytest.raises(MisconfigurationException, match=rf"set {name}.mode to max or min"):
        build(monitor="val/prettiness")
    build(monitor="val/prettiness", mode="min")


def test_what_is_not_watched_needs_no_direction() -> None:
    EarlyStopping(monitor="val/prettiness", patience=None)
    GradualUnfreezing(monitor="val/prettiness")
    assert mode_of("checkpoint", "val/f2", None) == mode_of("checkpoint", "val/top5_accuracy", None) == "max"
    with pytest.raises(MisconfigurationException, match="Did you mean 'accuracy'"):
        mode_of("checkpoint", "val/acuracy", None)


def test_the_best_checkpoint_by_loss_has_the_lowest_and_a_falling_loss_goes_on(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = ["--checkpoint.monitor=val/loss", "--early_stopping.monitor=val/loss", "--early_stopping.patience=0"]
    run(
        "fit",
        *watched,
        "--model.learning_rate=0.0003",
        "--model.dropout=0",
        "--trainer.max_epochs=3",
        "--previews.enabled=false",
    )
    folder = tmp_path / "logs/demo/version_0"
    best, last = (torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert last["epoch"] == 2  # each epoch lowers the loss
    assert (best["epoch"], best["scores"]["val/loss"]) == (2, last["scores"]["val/loss"])
    capsys.readouterr()
    main(["runs", str(tmp_path / "logs"), "--sort=val/loss"])
    header, row = capsys.readouterr().out.splitlines()
    assert "val/loss" in header.split()
    assert f"{last['scores']['val/loss']:.4f}" in row.split()


def test_runs_that_older_versions_began_go_on_and_are_evaluated(
    run: Callable[..., None], mistake: Callable[..., str], tmp_path: Path
) -> None:
    run("fit", "--checkpoint.mode=max", "--early_stopping.mode=max", "--previews.enabled=false")
    folder = tmp_path / "logs/demo/version_0"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert [config[name]["mode"] for name in ("checkpoint", "early_stopping", "unfreezing")] == ["max", "max", None]
    main(["fit", str(folder), "--trainer.max_epochs=3"])
    last = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] == 2
    for resumed in (folder / "resume-config.yaml", folder / "config.yaml"):  # as if it had kept its worst checkpoint
        text = yaml.safe_load(resumed.read_text())
        text["checkpoint"]["monitor"] = "val/loss"
        resumed.write_text(yaml.safe_dump(text))
    main(["test", str(folder)])
    assert (folder / "test/test_scores.json").is_file()
    with pytest.raises(SystemExit, match=r"checkpoint.mode is max, but of val/loss less is better"):
        main(["fit", str(folder), "--trainer.max_epochs=4"])
