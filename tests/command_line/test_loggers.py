"""The same promises whatever logger a run has: nothing lost, nothing begun anew, runs apart."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning_utilities.core.imports import RequirementCache

from tests.runs.test_resume import assert_same, last_checkpoint
from tests.support.interruptions import interrupted
from tests.support.processes import outcome
from tests.support.run_files import (
    Curves,
    checksums,
    csv_curves,
    mlflow_curves,
    tensorboard_curves,
    wandb_curves,
)

LIGHTNING = "lightning.pytorch.loggers"
CSV = {"class_path": f"{LIGHTNING}.CSVLogger", "init_args": {"save_dir": "logs"}}
TENSORBOARD = {"class_path": f"{LIGHTNING}.TensorBoardLogger", "init_args": {"save_dir": "logs"}}
LOGGERS: dict[str, object] = {
    "csv": CSV,
    "several": [TENSORBOARD, CSV],
    "none": False,
    "true": True,  # TensorBoard's
    "wandb": {"class_path": f"{LIGHTNING}.WandbLogger", "init_args": {"offline": True}},
    "mlflow": {"class_path": f"{LIGHTNING}.MLFlowLogger", "init_args": {"save_dir": "STORE"}},
}


def curves_of(kind: str, run: Path) -> Curves:
    if kind == "none":
        return {}
    if kind == "wandb":
        return wandb_curves(run)
    if kind == "mlflow":
        return mlflow_curves(Path("mlruns"), run.name)
    if kind == "several":
        assert csv_curves(run).keys() == tensorboard_curves(run).keys()
    return csv_curves(run) if kind in ("csv", "several") else tensorboard_curves(run)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOGGERS)
def test_fit_stop_resume_test_and_predict_keep_everything(
    arguments: list[str], toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = json.dumps(LOGGERS[kind]).replace("STORE", str(tmp_path / "mlruns"))
    options = [f"--trainer.logger={logger}", f"--logs={tmp_path / 'logs'}", "--tta.enabled=false"]
    fit = ["fit", *arguments, *options, "--checkpoint.every_n_steps=2", "--previews.enabled=false"]
    whole, torn = (tmp_path / "logs/demo" / name for name in ("whole", "torn"))

    assert outcome([*fit, "--name=whole"]) == 0
    kept = checksums(whole)
    assert outcome([*fit, "--name=torn", *interrupted("batch", 6)]) == -signal.SIGKILL
    assert outcome(["fit", str(torn), "--trainer.callbacks=null"]) == 0
    assert checksums(whole) == kept
    assert sorted(path.name for path in whole.parent.iterdir()) == ["torn", "whole"]
    assert_same(last_checkpoint(whole)["state_dict"], last_checkpoint(torn)["state_dict"])
    assert curves_of(kind, torn) == curves_of(kind, whole)
    if kind != "none":
        assert len(curves_of(kind, whole)["train/loss"]) == 8
        assert len(curves_of(kind, whole)["val/f1"]) == 2

    before, curves = checksums(torn), curves_of(kind, torn)
    photographs = toy_set / "cars_test"
    assert outcome(["test", str(torn), "--trainer.callbacks=null"]) == 0
    assert outcome(["predict", str(torn), str(photographs), "--trainer.callbacks=null"]) == 0
    after = checksums(torn)
    assert {name: after.get(name) for name in before} == before
    assert {name.partition("/")[0] for name in after.keys() - before.keys()} == {"test", "predict"}
    assert curves_of(kind, torn) == curves
    assert checksums(whole) == kept


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    mistake: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", RequirementCache("wandb>=999"))
    monkeypatch.setattr("lightning.pytorch.callbacks.progress.rich_progress._RICH_AVAILABLE", False)
    for option, package in (
        (f"--trainer.logger={LIGHTNING}.CometLogger", "comet-ml"),
        (f"--trainer.logger={LIGHTNING}.WandbLogger", "wandb"),
        ("--trainer.callbacks=lightning.pytorch.callbacks.RichProgressBar", "rich"),
    ):
        answer = mistake("fit", option)
        name = option.rpartition(".")[2]
        assert f"{name} needs the package {package}, which is missing: pip install {package}." in answer
    answer = mistake("fit", "--trainer.accelerator=tpu")
    assert "The trainer needs the package torch_xla, which is missing: pip install torch_xla." in answer
    assert not list(tmp_path.rglob("*.ckpt"))
