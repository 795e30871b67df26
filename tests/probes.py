"""Callbacks that the tests hang into a run."""

import hashlib
from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor


class Interruption(Callback):
    """Ends a run abruptly when an epoch begins, as a power cut would."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


class BatchRecord(Callback):
    """Writes a line for each training batch: epoch and a hash of its pixels and labels."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        digest = hashlib.sha256(batch[0].numpy().tobytes() + batch[1].numpy().tobytes()).hexdigest()
        with Path(self.file).open("a") as file:
            file.write(f"{trainer.current_epoch} {digest}\n")


class WeightsOfEachDevice(Callback):
    """Saves the weights of every process at the end of training."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        torch.save(pl_module.state_dict(), Path(self.folder) / f"rank{trainer.global_rank}.pt")
