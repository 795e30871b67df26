"""A run reports the scores of its best epoch, as far as they are known, and keeps them in its checkpoints."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from callbacks import Checkpoint

pytestmark = pytest.mark.slow

Run = Callable[..., None]
Scores = Callable[..., dict[str, Any]]
PLUNGE = ["--model.learning_rate=1"]  # no later epoch is better


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
