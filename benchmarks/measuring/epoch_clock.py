"""Notes when the epochs of a run begin and end, and when an evaluation does."""

import json
import time
from pathlib import Path
from typing import Any, ClassVar

import psutil
from lightning import Callback, LightningModule, Trainer


class EpochClock(Callback):
    """Writes a file at the end of training: seconds of each epoch, validation included, and the memory after it.

    Args:
        file: A JSON file of lists: ``began``, the seconds from the start of the process to the first step; ``epochs``,
            those of each; ``memory``, the MB of this process and its children after each, shared pages divided.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)
        self._times: list[float] = []
        self._memory: list[float] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the first step; arguments as in Lightning's hook."""
        if not self._times:
            self._times.append(time.time())

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the end of an epoch; arguments as in Lightning's hook."""
        self._times.append(time.time())
        own = psutil.Process()
        self._memory.append(sum(process.memory_full_info().pss for process in (own, *own.children(True))) / 1e6)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file; arguments as in Lightning's hook."""
        if trainer.is_global_zero:
            epochs = [end - begin for begin, end in zip(self._times, self._times[1:], strict=False)]
            began = self._times[0] - psutil.Process().create_time()
            self.file.write_text(json.dumps({"began": [began], "epochs": epochs, "memory": self._memory}))


class EvaluationClock(Callback):
    """Measures an evaluation from its first batch to its end.

    Attributes:
        seconds: What the last one took.
    """

    seconds: ClassVar[float] = 0.0

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Note the first batch; arguments as in Lightning's hook."""
        if batch_idx == 0:
            self._began = time.perf_counter()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the end; arguments as in Lightning's hook."""
        EvaluationClock.seconds = time.perf_counter() - self._began
