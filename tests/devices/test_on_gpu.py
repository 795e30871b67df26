"""What a CPU can't show: nothing here runs without an NVIDIA GPU."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning import Callback, LightningModule, Trainer

from lightning_modules import ImageClassifier
from tests.runs.test_resume import assert_same, last_checkpoint
from tests.support.probes import poisoned

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

Run = Callable[..., None]
GPU = [
    "--trainer.accelerator=gpu", "--trainer.devices=1", "--model.backbone=resnet18", "--data.batch_size=4",
    "--data.num_workers=2", "--trainer.max_epochs=1", "--trainer.log_every_n_steps=50", "--data_wait.enabled=true",
    "--trainer.enable_progress_bar=true",
]  # fmt: skip
STRICT = ["--trainer.callbacks+=tests.devices.test_on_gpu.Strict"]


class Strict(Callback):
    """Makes each synchronisation an error, but for the first batches and the end of an epoch."""

    watched = 0

    def __init__(self, first: int = 2, last: int = 14) -> None:
        self.first = first
        self.last = last

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx in (self.first, self.last):
            torch.cuda.set_sync_debug_mode("error" if batch_idx == self.first else "default")
        Strict.watched += self.first <= batch_idx < self.last

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx in (1, 4):
            torch.cuda.set_sync_debug_mode("error" if batch_idx == 1 else "default")
        Strict.watched += 1 <= batch_idx < 4


@pytest.fixture(autouse=True)
def watch() -> Iterator[None]:
    Strict.watched = 0
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_steps_do_not_wait(run: Run, optimizer: str, precision: str) -> None:
    options = [f"--model.optimizer={optimizer}", f"--trainer.precision={precision}", "--ema.decay=0.9"]
    run("fit", *GPU, *STRICT, *options)
    assert Strict.watched == 12


def test_evaluation_batches_do_not_wait(run: Run) -> None:
    run("fit", *GPU, "--trainer.limit_train_batches=2")
    run("test", *GPU, *STRICT, "--ckpt_path=best")
    assert Strict.watched == 3


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_nothing_that_is_not_finite_reaches_the_weights(
    run: Run, mistake: Callable[..., str], tmp_path: Path, optimizer: str, what: str
) -> None:
    options = [f"--model.optimizer={optimizer}", "--checkpoint.every_n_steps=1", "--trainer.limit_train_batches=8"]
    answer = mistake("fit", *GPU, *options, *poisoned(what, 5))
    assert "became nan in epoch 0, batch 5 (" in answer
    saved = last_checkpoint(tmp_path / "logs/demo/version_0")
    assert saved["global_step"] == 5
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())
    for state in saved["optimizer_states"][0]["state"].values():
        assert all(value.isfinite().all() for value in state.values() if isinstance(value, torch.Tensor))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_fused_step_equals_a_plain_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    same = ["--trainer.limit_train_batches=6", "--trainer.deterministic=true", f"--model.optimizer={optimizer}"]
    run("fit", *GPU, *same, "--name=fused")
    monkeypatch.setattr("lightning_modules.training.layerwise_optimization.can_fuse", lambda *_: False)
    run("fit", *GPU, *same, "--name=plain")
    fused, plain = (last_checkpoint(tmp_path / "logs/demo" / name)["state_dict"] for name in ("fused", "plain"))
    # Adam divides by the gradient's size: where that is next to nothing, rounding decides on the sign of a step
    tolerance = 6 * 5e-4 if optimizer == "adamw" else 1e-5
    for name, value in fused.items():
        if "running" not in name:
            torch.testing.assert_close(value, plain[name], rtol=1e-3, atol=tolerance, msg=name)


def test_a_resumed_run_ends_as_one_that_was_not(run: Run, tmp_path: Path) -> None:
    options = [
        "--trainer.deterministic=true",
        "--unfreezing.every_n_epochs=1",
        "--ema.decay=0.9",
        "--model.optimizer=sgd",
    ]
    run("fit", *GPU, *options, "--trainer.max_epochs=3", "--name=whole")
    interrupted = ["--trainer.callbacks+=tests.support.probes.Interruption", "--trainer.callbacks.epoch=2"]
    with pytest.raises(InterruptedError):
        run("fit", *GPU, *options, "--trainer.max_epochs=3", "--name=torn", *interrupted)
    run("fit", str(tmp_path / "logs/demo/torn"), *GPU, *options, "--trainer.max_epochs=3", "--trainer.callbacks=null")
    whole, torn = (last_checkpoint(tmp_path / "logs/demo" / name) for name in ("whole", "torn"))
    for key in ("state_dict", "current_model_state", "optimizer_states"):
        assert_same(whole[key], torn[key], key)


def test_the_choice_for_the_gpu_is_written_down(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run("fit", *GPU, "--trainer.precision=auto", "--data.num_workers=null", "--trainer.limit_train_batches=2")
    line = next(line for line in caplog.text.splitlines() if "Chosen for this machine" in line)
    for part in ("computes in bfloat16", "TF32", "cudnn.benchmark", "fused adamw", "loading processes"):
        assert part in line
    config = yaml.safe_load((tmp_path / "logs/demo/version_0/config.yaml").read_text())
    assert config["trainer"]["precision"] == "bf16-mixed"


def test_a_compiled_run_is_tested_and_used(run: Run, tmp_path: Path) -> None:
    options = ["--model.compile=true", "--unfreezing.every_n_epochs=1", "--trainer.max_epochs=2", "--ema.decay=0.9"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run("fit", *GPU, *options, "--trainer.precision=bf16-mixed")
    folder = tmp_path / "logs/demo/version_0"
    assert not [name for name in last_checkpoint(folder)["state_dict"] if "_orig_mod" in name]
    run("test", *GPU, "--model.compile=true", "--ckpt_path=best")
    model = ImageClassifier.load(folder).cuda()
    answer = model.classify(torch.zeros(3, 80, 90, dtype=torch.uint8))
    assert sum(answer.values()) == pytest.approx(1, abs=1e-3)
