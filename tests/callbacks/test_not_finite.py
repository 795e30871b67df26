"""Losses, gradients and statistics that are NaN or infinite."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from callbacks import FiniteLoss
from tests.runs.test_resume import assert_same, last_checkpoint
from tests.support.probes import poisoned
from tests.support.processes import TIMEOUT, start_devices

OFTEN = [
    "--data.batch_size=4", "--trainer.max_epochs=1", "--trainer.limit_train_batches=8", "--previews.enabled=false",
    "--checkpoint.every_n_steps=1", "--model.backbone=mobilenet_v3_small", "--data.image_size=32",
]  # fmt: skip
RECIPES = {
    "frozen layers, gradients clipped": (["--unfreezing.epochs=[9]", "--trainer.gradient_clip_val=1"], 5, "batch 5"),
    "momentum, a sum of two batches, averaged": (
        [
            "--unfreezing.epochs=[]",
            "--model.optimizer=sgd",
            "--trainer.accumulate_grad_batches=2",
            "--ema.decay=0.9",
            "--checkpoint.save_weights_only=true",
        ],
        2,
        "batches 4 to 5",
    ),
    "momentum, decided by the optimizer itself": (
        ["--unfreezing.epochs=[9]", "--ema.decay=0.9", "--model.optimizer=sgd"],
        5,
        "batch 5",
    ),
    "decided by the optimizer itself": (["--unfreezing.epochs=[9]", "--ema.decay=0.9"], 5, "batch 5"),
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_gradient_that_is_no_number_reaches_no_checkpoint(
    run: Callable[..., None],
    mistake: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
) -> None:
    options, steps, where = RECIPES[recipe]
    if "optimizer" in recipe:  # else it would take a GPU
        monkeypatch.setattr("lightning_modules.training.layerwise_optimization.can_fuse", lambda *_: True)
    run("fit", *OFTEN, *options)
    answer = mistake("fit", *OFTEN, *options, *poisoned("gradient", 5))
    assert f"The gradients became nan in epoch 0, {where} (" in answer
    named = answer.partition(f"{where} (")[2].partition(")")[0].split(", ")
    assert len(set(named)) == (8 if "batches" in where else 4)
    assert all(name.endswith(".jpg") for name in named)
    whole, torn = (tmp_path / f"logs/demo/version_{number}" for number in (0, 1))
    assert last_checkpoint(torn)["global_step"] == steps
    run("fit", *OFTEN, *options, "--ckpt_path=last")
    for key in ("state_dict", "optimizer_states", "loops"):
        assert_same(last_checkpoint(whole)[key], last_checkpoint(torn)[key], key)


@pytest.mark.slow
def test_statistics_that_are_no_numbers_are_not_saved(mistake: Callable[..., str], tmp_path: Path) -> None:
    answer = mistake("fit", *OFTEN, "--unfreezing.epochs=[]", *poisoned("statistic", 3))
    assert "network.features.0.1.running_mean is NaN or infinite after step 4, which is not saved" in answer
    saved = last_checkpoint(tmp_path / "logs/demo/version_0")
    assert saved["global_step"] == 3
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())


@pytest.mark.slow
@pytest.mark.parametrize(("what", "named"), [("loss", 2), ("gradient", 4)])
def test_devices_stop_together_where_one_of_them_computes_no_number(
    arguments: list[str], tmp_path: Path, what: str, named: int
) -> None:
    errors = tmp_path / "errors"
    options = ["--unfreezing.epochs=[]", *poisoned(what, 3, rank=1), "--trainer.callbacks+=tests.support.probes.Errors"]
    processes = start_devices(["fit", *arguments, *OFTEN, *options, f"--trainer.callbacks.file={errors}"], 2)
    for process in processes:
        process.join(TIMEOUT)
    assert [process.exitcode for process in processes] == [1, 1]
    answers = [(errors.with_suffix(f".rank{rank}")).read_text() for rank in range(2)]
    assert answers[0] == answers[1]
    assert what in answers[0]
    assert answers[0].count(".jpg") == named
    saved = last_checkpoint(tmp_path / "logs/demo/version_0")
    assert saved["global_step"] == 3
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())


class Product(L.LightningModule):
    """Has its input for a gradient, and no loss at first."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.fused = fused

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return ((self.weight - 1) * batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.fused:
            return torch.optim.AdamW(self.parameters(), lr=0.1, fused=True)
        return torch.optim.SGD(self.parameters(), lr=1e-30)


def train(inputs: list[float], tmp_path: Path, module: Product | None = None, **options: Any) -> Product:
    module = module or Product()
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=1, callbacks=[FiniteLoss()], logger=False, enable_checkpointing=False,
        default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(torch.tensor(inputs))))
    return module


def test_gradients_may_be_large(tmp_path: Path) -> None:
    assert train([1e30], tmp_path).weight.item() == pytest.approx(0, abs=1e-6)  # whose squares are infinite


def test_an_overflow_that_the_scaler_handles_is_no_fault(tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    module = train([1e10, 1e-10], tmp_path, plugins=[plugin])  # times the scale, the first exceeds what floats hold
    assert scaler.get_scale() == 2.0**99
    assert module.weight.item() == 1.0
    with pytest.raises(MisconfigurationException, match=r"loss became nan in epoch 0, batch 0:"):
        train([torch.inf], tmp_path, plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))])


@pytest.mark.parametrize(("inputs", "batch"), [([torch.nan], 0), ([2.0, -torch.inf, 1.0], 1), ([2.0, torch.nan], 1)])
def test_a_fused_optimizer_skips_steps_that_are_not_finite(tmp_path: Path, inputs: list[float], batch: int) -> None:
    module = Product(fused=True)
    with pytest.raises(MisconfigurationException, match=rf"became \S+ in epoch 0, batch {batch}:"):
        train(inputs, tmp_path, module)
    assert module.weight.item() == train(inputs[:batch], tmp_path, Product(fused=True)).weight.item()


def test_gradients_of_fused_optimizers_are_clipped_in_16_bits(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_modules.training.layerwise_optimization.can_fuse", lambda *_: True)
    quick = ("--previews.enabled=false", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1")
    run("fit", *quick, "--trainer.precision=bf16-mixed", "--trainer.gradient_clip_val=1")


def test_an_infinite_loss_stops_where_its_gradient_is_finite(tmp_path: Path) -> None:
    class Offset(Product):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            return super().training_step(batch, batch_idx) + torch.inf

    for fused in (False, True):
        with pytest.raises(MisconfigurationException, match="loss became inf in epoch 0, batch 0:"):
            train([1.0], tmp_path, Offset(fused))
