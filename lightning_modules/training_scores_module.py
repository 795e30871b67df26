"""Scores of training, which an interruption in the middle of an epoch leaves right."""

from typing import Any

import lightning as L
from torch import Tensor
from torchmetrics import MeanMetric

_KEY = "training_accuracy"


class TrainingScoresModule(L.LightningModule):
    """Base of modules whose ``training_step`` returns the accuracy of the batch beside its loss.

    Lightning's own means over an epoch aren't saved in checkpoints, and it writes them after the checkpoint of the
    epoch: a run resumed in mid-epoch would show the mean of the rest, one killed after the checkpoint would show none.

    Attributes:
        accuracy: Mean over the epoch so far, on this device.
    """

    def configure_training_scores(self) -> None:
        """Make the metric."""
        self.accuracy = MeanMetric()

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a batch, once its step has been made.

        Args:
            outputs: What ``training_step`` returned.
            batch: Images and labels.
            batch_idx: Its number.
        """
        self.accuracy.update(outputs["accuracy"], len(batch[1]))

    def on_train_epoch_end(self) -> None:
        """Log ``train/accuracy``, at once, so that it is written before the checkpoint."""
        accuracy = self.accuracy.compute()
        self.accuracy.reset()
        self.log("train/accuracy", accuracy, logger=False)
        for logger in self.loggers:
            logger.log_metrics({"train/accuracy": float(accuracy)}, step=self.global_step - 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the sums of all devices.

        Args:
            checkpoint: What is about to be saved; changed in place.
        """
        super().on_save_checkpoint(checkpoint)
        with self.accuracy.sync_context():
            checkpoint[_KEY] = [float(self.accuracy.mean_value), float(self.accuracy.weight)]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting, on the first device.

        Args:
            checkpoint: What is being loaded.
        """
        super().on_load_checkpoint(checkpoint)
        if _KEY in checkpoint and self.global_rank == 0:
            total, weight = checkpoint[_KEY]
            self.accuracy.update(0.0, 0.0)  # else the metric calls itself empty
            self.accuracy.mean_value.fill_(total)
            self.accuracy.weight.fill_(weight)
