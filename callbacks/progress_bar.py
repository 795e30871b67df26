"""A progress bar that doesn't make a GPU wait."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import Tensor

from callbacks.data_wait import DataWait
from callbacks.late_number import LateNumber

_EVERY = 16  # steps from one loss to the next on a GPU
_LOSS = "train/loss"


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the training loss and the share of waiting for images.

    What is logged with ``prog_bar=True`` is read at every step, for which a process waits until the GPU has made it.
    Here the loss is read every 16 steps, and then the one of 16 steps ago; on the CPU, where it costs nothing, at every
    step.
    """

    def __init__(self, refresh_rate: int = 1, process_position: int = 0, leave: bool = False) -> None:
        super().__init__(refresh_rate, process_position, leave)
        self._shown: dict[str, float] = {}
        self._next: LateNumber | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss; arguments as in Lightning's hook."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and not self.is_disabled and (not loss.is_cuda or batch_idx % _EVERY == 0):
            loss = loss.detach() * trainer.accumulate_grad_batches  # Lightning has divided it
            late, self._next = self._next, LateNumber(loss)
            if not loss.is_cuda or late is None:
                late = self._next
            self._shown[_LOSS] = late.read()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Add the loss and the share of waiting; arguments as in Lightning's method.

        Returns:
            What the bar shows, by name.
        """
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        shares = [callback.share for callback in callbacks if isinstance(callback, DataWait)]
        waits = {} if not shares or shares[0] is None else {"data_wait": shares[0]}
        return {**self._shown, **waits, **super().get_metrics(trainer, pl_module)}
