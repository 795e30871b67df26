"""Stops a run whose loss is no number any more."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

_NAMED = 8


@runtime_checkable
class NamingDataModule(Protocol):
    """A data module that knows which files a batch was made of."""

    def training_files(self, epoch: int, batch: int) -> list[str]:
        """List the files of a training batch on this device."""


class FiniteLoss(Callback):
    """Stops before a loss that is NaN or infinite can reach the weights, and names the images of the batch.

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Look at the loss.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            loss: The loss of the batch, a scalar.

        Raises:
            MisconfigurationException: If it isn't finite.
        """
        if not self.enabled or bool(torch.isfinite(loss)):
            return
        epoch, batch = trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_idx
        data = trainer.datamodule  # type: ignore[attr-defined]
        files = data.training_files(epoch, batch) if isinstance(data, NamingDataModule) else []
        names = ", ".join(Path(file).name for file in files[:_NAMED])
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        raise MisconfigurationException(
            f"The training loss became {float(loss)} in epoch {epoch}, batch {batch} ({names}{more}): lower "
            "model.learning_rate, set trainer.gradient_clip_val, or look at these images."
        )
