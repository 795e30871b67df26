"""Ends a process when training begins."""

import os
from typing import Any

from lightning import Callback, LightningModule, Trainer


class FirstStep(Callback):
    """Ends the process at the start of the first training batch."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End it; arguments as in Lightning's hook."""
        os._exit(0)
