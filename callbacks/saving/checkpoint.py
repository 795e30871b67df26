"""Saves the best and the last state of a run, which can therefore be stopped at any moment."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from callbacks.run_folder import run_folder
from callbacks.saving.loop_state import (
    accumulates,
    after_validation,
    before_training,
    before_validation,
    begin_validation,
    between_batches,
    go_on,
    moment_of,
    resume_by_epochs,
)
from callbacks.saving.scored_checkpoint import ScoredCheckpoint
from callbacks.saving.stop_signals import StopSignals
from callbacks.saving.validation_clock import AGREE_EVERY, ValidationClock
from callbacks.saving.weights_alone import leave_weights
from callbacks.score_direction import Mode, mode_of
from runs.commands import next_command
from runs.run import CHECKPOINTS
from runs.whole_file import set_damaged_aside


class Checkpoint(ScoredCheckpoint):
    """Writes ``checkpoints/best.ckpt`` whenever the monitored score improves, and ``checkpoints/last.ckpt`` often.

    ``last.ckpt`` is written before the first step, every so many steps or minutes, before each validation unless
    gradients of the batches before still wait for their step, after each epoch, and when SIGTERM, SIGUSR1 or Ctrl-C ask
    the run to stop, which it then does with exit code 128 + signal number. It replaces the one before, which is kept as
    ``previous.ckpt``. All saves lie between two optimizer steps, after everything that was logged has been written, so
    that a resumed run ends as the uninterrupted one, whatever ended it: an error loses what was trained since the last
    save, and no more. ``scores`` in a checkpoint are those of its weights.

    Args:
        monitor: Name of the score.
        mode: ``max`` if larger is better, ``min`` if smaller is; null follows from the name of the score.
        every_n_steps: Optimizer steps between two saves within an epoch; null saves by time alone.
        every_n_minutes: Minutes between two saves within an epoch; null saves by steps alone.
        save_weights_only: Leave out of ``best.ckpt`` what it takes to resume, the optimizer's state above all.

    Raises:
        MisconfigurationException: If the intervals aren't positive, or the mode contradicts the score.
    """

    def __init__(
        self,
        monitor: str = "val/f1",
        mode: Mode | None = None,
        every_n_steps: int | None = None,
        every_n_minutes: float | None = 10.0,
        save_weights_only: bool = False,
    ) -> None:
        for name, value in (("every_n_steps", every_n_steps), ("every_n_minutes", every_n_minutes)):
            if value is not None and value <= 0:
                raise MisconfigurationException(f"checkpoint.{name} is {value}: it has to be above 0, or null.")
        super().__init__(
            filename="best",
            monitor=monitor,
            mode=mode_of("checkpoint", monitor, mode),
            auto_insert_metric_name=False,  # the slash in val/f1 would make folders
            enable_version_counter=False,
        )
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.weights_alone = save_weights_only
        self.signals = StopSignals()
        self.clock = ValidationClock()
        self._saved_step, self._saved_at = 0, 0.0
        self._describe: Callable[[dict[str, Any]], None] | None = None
        self._moment: str | None = None  # at which the checkpoint was saved that the run continues from
        self._resumable = False  # whether the state before the present validation has been saved

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the checkpoints into the folder of the run, whatever the logger.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit`` or another.
        """
        if stage == "fit":
            self.dirpath = str(run_folder(trainer) / CHECKPOINTS)
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals, and make sure that there is something to resume from.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        super().on_train_start(trainer, pl_module)
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        if trainer.is_global_zero:
            set_damaged_aside(Path(str(trainer.ckpt_path)), Path(str(self.dirpath)))
        go_on(trainer, self._moment)
        self._moment = None
        if self._saves(trainer):
            self.signals.install()
            begun = trainer.fit_loop.epoch_loop.batch_progress.total.ready
            # to save an optimizer that is sharded and has no state yet, PyTorch makes a step (torch.distributed
            # .checkpoint.state_dict), which counts in Adam's bias correction and leaves weight decay in SGD's momentum
            if not begun and not isinstance(trainer.strategy, ModelParallelStrategy):
                self._save_last(trainer, before_training)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Save if it is time: the step before has been made and logged, this one hasn't begun.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            batch: The batch.
            batch_idx: Its number.
        """
        self.writer.raise_failures()
        if not self._saves(trainer) or batch_idx % trainer.accumulate_grad_batches:
            return
        # before the first batch the epoch before has saved; Lightning takes a restored 0 for the end of an epoch
        if batch_idx and self._is_due(trainer):
            self._save_last(trainer, between_batches)
            self._stop_if_asked(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let all devices validate at once, since each validation saves; arguments as in ``on_train_batch_start``."""
        self.clock.agree(trainer)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what the epoch has learned, should the validation be interrupted; arguments as in ``on_train_start``."""
        if self._saves(trainer):
            begin_validation(trainer)
            self._resumable = not accumulates(trainer)
            if self._resumable:
                self._save_last(trainer, before_validation)
                self._stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Stop a validation where a signal asks for it; a resumed run begins it again.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            *args: Outputs, batch and number of the batch.
        """
        agreed = trainer.world_size == 1 or args[2] % AGREE_EVERY == 0
        if agreed and self._saves(trainer) and self._resumable:
            self._stop_if_asked(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best state, and the last in any case; arguments as in ``on_train_start``."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._saves(trainer):
            self._save_last(trainer, None)
            self._stop_if_asked(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Describe how far the run is.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            checkpoint: What is about to be saved; changed in place.
        """
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._describe is not None:
            self._describe(checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note how far the run is; arguments as in ``on_save_checkpoint``."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        self._moment = moment_of(checkpoint)
        if trainer.state.fn == "fit":
            resume_by_epochs(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave signals to others again; arguments as in ``on_train_start``, and the stage."""
        self.signals.remove()

    def _saves(self, trainer: Trainer) -> bool:
        dry: bool = trainer.fast_dev_run  # type: ignore[attr-defined]
        return trainer.state.fn == "fit" and not dry and not trainer.sanity_checking

    def _is_due(self, trainer: Trainer) -> bool:
        steps, seconds = trainer.global_step - self._saved_step, time.monotonic() - self._saved_at
        if self.every_n_steps is not None and steps >= self.every_n_steps:
            return True  # on all devices
        if trainer.world_size > 1 and trainer.global_step % AGREE_EVERY:
            return False
        due = self.signals.received is not None
        due |= self.every_n_minutes is not None and seconds >= 60 * self.every_n_minutes
        return trainer.strategy.reduce_boolean_decision(due, all=False)

    def _update_best_and_save(self, current: Tensor, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        self._describe = self._describe_best(trainer)
        try:
            super()._update_best_and_save(current, trainer, monitor_candidates)
        finally:
            self._describe = None

    def _describe_best(self, trainer: Trainer) -> Callable[[dict[str, Any]], None] | None:
        if self.weights_alone:
            return leave_weights
        return after_validation if trainer.validating else None

    def _save_last(self, trainer: Trainer, describe: Callable[[dict[str, Any]], None] | None) -> None:
        for logger in trainer.loggers:
            logger.save()  # a resumed run won't log again what lies before
        best_step, self._describe = self._last_global_step_saved, describe
        try:
            self.last_model_path = str(Path(str(self.dirpath)) / "last.ckpt")  # before saving: it is part of the state
            self._save_checkpoint(trainer, self.last_model_path)
        finally:
            self._describe = None
            self._last_global_step_saved = best_step
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()

    def _stop_if_asked(self, trainer: Trainer) -> None:
        if trainer.strategy.reduce_boolean_decision(self.signals.received is not None, all=False):
            self.writer.wait()
            number = self.signals.received or signal.SIGTERM  # which has reached another device
            command = next_command("fit", run_folder(trainer))
            rank_zero_info(f"Stopped after step {trainer.global_step}; to go on:\nnext: {command}")
            sys.exit(128 + number)
