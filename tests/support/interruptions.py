"""Callbacks that end a run before its time."""

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lightning import Callback, LightningModule, Trainer

from runs import whole_file

_PUBLISH = whole_file.publish


def interrupted(moment: str, count: int, number: int = signal.SIGKILL, rank: int | None = None) -> list[str]:
    """Options that hang a ``Signal`` into a run."""
    options = {"moment": moment, "count": count, "number": int(number), "rank": "null" if rank is None else rank}
    return [
        "--trainer.callbacks+=tests.support.interruptions.Signal",
        *(f"--trainer.callbacks.{name}={value}" for name, value in options.items()),
    ]


class Signal(Callback):
    """Sends a signal to its own process at a moment of a run.

    Args:
        moment: "batch" (its step has been made), "step" (in its middle), "validation" (in its middle), "validated" (the
            validation has ended), "writing" (half of a checkpoint has been), "renaming" (the old checkpoint has been
            renamed, the new one hasn't), "scores" (an epoch has been logged, but not saved).
        count: How many such moments to let pass.
        number: The signal.
        rank: The device that gets it; None sends it to all.
        workers: Send it to the loading processes first, as those do who send it to the whole group of processes.
    """

    def __init__(
        self,
        moment: str,
        count: int = 0,
        number: int = signal.SIGKILL,
        rank: int | None = None,
        workers: bool = False,
    ) -> None:
        self.moment, self.count, self.number, self.rank, self.workers = moment, count, number, rank, workers

    def at(self, moment: str) -> None:
        if moment == self.moment:
            self.count -= 1
            if self.count == -1:
                for process in multiprocessing.active_children() if self.workers else []:
                    subprocess.run(["kill", f"-{self.number}", str(process.pid)], check=True)  # noqa: S607 - as others send it
                time.sleep(0.5 * self.workers)
                os.kill(os.getpid(), self.number)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.rank not in (None, trainer.global_rank):
            self.moment = "never"

        def publish(draft: Path, path: Path) -> None:
            if self.moment == "writing" and self.count == 0:
                os.truncate(draft, draft.stat().st_size // 2)
            self.at("writing")
            with patch.object(Path, "replace", self._replacing(Path.replace)):
                _PUBLISH(draft, path)

        if self.moment in ("writing", "renaming"):
            whole_file.publish = publish

    def _replacing(self, replace: Callable[[Path, Any], Path]) -> Callable[[Path, Any], Path]:
        def call(path: Path, target: Any) -> Path:
            self.at("renaming")
            return replace(path, target)

        return call

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.at("batch")

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.at("step")

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if not trainer.sanity_checking:
            self.at("validation")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.at("validated")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.at("scores")


class Failure(Callback):
    """Raises an error in the middle of a training step, once its loss has gone backward.

    Args:
        count: How many batches to let pass.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.count -= 1
        if self.count == -1:
            raise ConnectionError("the device is gone")
