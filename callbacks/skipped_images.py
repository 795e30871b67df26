"""Reports how many images couldn't be read."""

from typing import Any, Protocol, runtime_checkable

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

_KEY = "skipped_images"


@runtime_checkable
class SkippingDataModule(Protocol):
    """A data module that may pass over images it can't read."""

    def skipped(self, split: Any) -> Tensor | None:
        """Flag them, bool of shape (images,); None where nothing is skipped."""


class SkippedImages(Callback):
    """Logs ``train/skipped``, ``val/skipped`` and ``test/skipped`` where ``data.on_error`` is ``skip``.

    The numbers count files, not how often they were met, over all devices.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the number of training images skipped so far.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        skipped = _count(trainer, "train")
        if skipped is not None:
            pl_module.log("train/skipped", float(skipped), logger=False)
            for logger in trainer.loggers:  # at once, so that it is written before the checkpoint of the epoch
                logger.log_metrics({"train/skipped": skipped}, step=trainer.global_step - 1)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the number of validation images; arguments as in ``on_train_epoch_end``."""
        self._log(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the number of test images; arguments as in ``on_train_epoch_end``."""
        self._log(trainer, pl_module, "test")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep which training images have been skipped.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            checkpoint: What is about to be saved; changed in place.
        """
        flags = _flags(trainer, "train")
        if flags is not None:
            checkpoint[_KEY] = flags.nonzero().flatten().cpu()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue counting; arguments as in the hook above."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if trainer.state.fn == "fit" and _KEY in checkpoint and isinstance(data, SkippingDataModule):
            flags = data.skipped("train")
            if flags is not None:
                flags[checkpoint[_KEY]] = True

    def _log(self, trainer: Trainer, pl_module: LightningModule, split: str) -> None:
        skipped = _count(trainer, split)
        if skipped is not None:
            pl_module.log(f"{split}/skipped", float(skipped))


def _flags(trainer: Trainer, split: str) -> Tensor | None:
    """Flag over all devices, which may have met the same files in different epochs."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    skipped = data.skipped(split) if isinstance(data, SkippingDataModule) else None
    if skipped is None:
        return None
    return trainer.strategy.reduce(skipped.to(trainer.strategy.root_device, torch.int32), reduce_op="sum") > 0


def _count(trainer: Trainer, split: str) -> int | None:
    flags = _flags(trainer, split)
    return None if flags is None else int(flags.sum())
