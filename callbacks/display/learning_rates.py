"""Logs the learning rate of each group of layers."""

from typing import Any

from lightning import Callback, LightningModule, Trainer


class LearningRates(Callback):
    """Logs ``lr/GROUP`` for each group of layers, 0 while the group is frozen.

    Lightning's monitor would draw two equal curves a group, since norms and biases, which aren't decayed, form
    parameter groups of their own.

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Log as often as Lightning logs the loss.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            batch: The batch.
            batch_idx: Its number.
        """
        interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if (
            not self.enabled
            or not interval
            or trainer.global_step % interval
            or batch_idx % trainer.accumulate_grad_batches
        ):
            return
        rates = {
            f"lr/{group['layers']}": group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups
        }
        for logger in trainer.loggers:
            logger.log_metrics(rates, step=trainer.global_step)
