"""Logs how much of a training step is spent waiting for images."""

import time
from typing import Any, Protocol, runtime_checkable

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

_EVERY = 16  # batches from one figure in the progress bar to the next
_MUCH = 0.25
_FEW = 32  # batches, of which the first waits for the processes to start


@runtime_checkable
class TimedLoader(Protocol):
    """A loader that measures how long it was waited for.

    Attributes:
        waited: Seconds in all.
    """

    waited: float


class DataWait(Callback):
    """Logs ``data_wait``, the share of the training time in which the process waits for the next batch.

    Near 0, images are loaded as fast as the network takes them. The progress bar has a new figure every 16 batches, and
    loggers as often as the loss. After the first epoch a line says what helps, if it was much.

    Args:
        enabled: Off switch.

    Attributes:
        share: The last figure.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self.share: float | None = None
        self._loader: TimedLoader | None = None
        self._begun = 0.0
        self._computed = self._waited = 0.0  # seconds since the last figure
        self._batches, self._all_computed, self._all_waited = 0, 0.0, 0.0  # since the epoch began
        self._seen = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the fit before.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._advised = not self.enabled

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin again; arguments as in ``on_train_start``."""
        loader = trainer.train_dataloader
        self._loader = loader if self.enabled and isinstance(loader, TimedLoader) else None
        self._seen = self._loader.waited if self._loader else 0.0
        self._computed = self._waited = self._all_computed = self._all_waited = 0.0
        self._batches = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Measure how long the batch took to arrive.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            batch: The batch.
            batch_idx: Its number.
        """
        if self._loader is None:
            return
        if self._batches:  # the first one waits for processes that start
            self._waited += self._loader.waited - self._seen
        self._seen = self._loader.waited
        self._begun = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note how long the step took; arguments as in the hook above, and the step's result."""
        if self._loader is None:
            return
        self._computed += time.perf_counter() - self._begun
        self._batches += 1
        interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
        stepped = batch_idx % trainer.accumulate_grad_batches == 0
        due = bool(interval) and stepped and trainer.global_step % interval == 0
        if not due and self._batches % _EVERY:
            return
        share = self._waited / (self._waited + self._computed)
        self.share = round(share, 3)
        if due:
            for logger in trainer.loggers:
                logger.log_metrics({"data_wait": share}, step=trainer.global_step - 1)
        self._all_computed, self._all_waited = self._all_computed + self._computed, self._all_waited + self._waited
        self._computed = self._waited = 0.0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what helps, once; arguments as in ``on_train_start``."""
        waited, computed = self._all_waited + self._waited, self._all_computed + self._computed
        if self._advised or self._batches < _FEW:
            return
        self._advised = True
        if waited > _MUCH * (waited + computed):
            workers = getattr(self._loader, "num_workers", 0)
            rank_zero_info(
                f"{waited / (waited + computed):.0%} of the first epoch's steps went by waiting for images, which "
                f"{workers or 'no'} process{'es' * (workers != 1)} load: raise data.num_workers, or let there be less "
                "to decode (data.cache, or convert --max_side)."
            )
