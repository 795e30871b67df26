"""Notes when a run begins, continues and ends."""

import platform
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info

from callbacks.run_folder import run_folder
from runs.commands import typed_command
from runs.history import HISTORY, History


class RunHistory(Callback):
    """Writes ``history.jsonl``: a line when training begins, continues, stops, fails or finishes.

    Args:
        resumed: Whether the run continues in its folder.
    """

    def __init__(self, resumed: bool = False) -> None:
        self.resumed = resumed
        self.trained = False
        self.history: History | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the beginning, and what services call the run, so that it can continue there too.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        folder = run_folder(trainer)
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.history = History(folder / HISTORY)
        ids = []
        for logger in trainer.loggers:
            if not isinstance(logger, TensorBoardLogger | CSVLogger):
                _ = logger.experiment  # type: ignore[attr-defined]  # the service gives the id when it begins
                ids.append([type(logger).__name__, str(logger.version)])
        self.history.append(
            "resumed" if self.resumed else "began",
            epochs=trainer.max_epochs,
            devices=trainer.world_size,
            host=platform.node(),
            directory=str(Path.cwd()),  # from which paths in the config may count
            command=typed_command(),
            loggers=ids,
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is something left to train; arguments as in ``on_fit_start``."""
        self.trained = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that training has come to its end; arguments as in ``on_fit_start``."""
        if self.resumed and not self.trained:
            rank_zero_info(
                f"Nothing is left to train: the run has completed its {trainer.current_epoch} epochs. Give it more "
                "with --trainer.max_epochs."
            )
        self._end(trainer, "finished")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Note why training ends before its time.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            exception: A signal's ``SystemExit``, or an error.
        """
        stopped = isinstance(exception, SystemExit | KeyboardInterrupt)
        self._end(trainer, "stopped" if stopped else "failed", reason=f"{type(exception).__name__}: {exception}")

    def _end(self, trainer: Trainer, kind: str, **facts: Any) -> None:
        if self.history is not None:
            self.history.append(kind, epoch=trainer.current_epoch, step=trainer.global_step, **facts)
        self.history, self.trained = None, False
