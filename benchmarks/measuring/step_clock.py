"""Times the steps of a fit from within."""

import time
from typing import Any, ClassVar

import torch
from lightning import Callback, LightningModule, Trainer


class StepClock(Callback):
    """Measures the time of a number of steps, after others that aren't counted, and ends the fit.

    Args:
        skipped: Steps before the first one that counts.
        counted: Steps that count.

    Attributes:
        seconds: What the last fit took for a step on average.
    """

    seconds: ClassVar[float] = 0.0

    def __init__(self, skipped: int = 10, counted: int = 40) -> None:
        self.skipped = skipped
        self.counted = counted
        self._began = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the clock, once the device has done what it was given; arguments as in Lightning's hook."""
        if trainer.global_step not in (self.skipped, self.skipped + self.counted):
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if trainer.global_step == self.skipped:
            self._began = time.perf_counter()
        else:
            StepClock.seconds = (time.perf_counter() - self._began) / self.counted
            trainer.should_stop = True
