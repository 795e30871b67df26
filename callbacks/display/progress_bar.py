"""A progress bar that doesn't make a GPU wait, and a line for each epoch that stays."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm, convert_inf
from torch import Tensor

from callbacks.display.data_wait import DataWait
from callbacks.display.epoch_table import EpochTable
from callbacks.late_number import LateNumber

_EVERY = 16  # steps from one loss to the next on a GPU
_LOSS = "train/loss"
_SIGN_OF_LIFE = 600.0  # seconds without a line in a log file


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the training loss and the share of waiting for images, and a table of the epochs.

    What is logged with ``prog_bar=True`` is read at every step, for which a process waits until the GPU has made it.
    Here the loss is read every 16 steps, and then the one of 16 steps ago; on the CPU, where it costs nothing, at every
    step.

    Each epoch leaves a line with its mean training loss and its scores. A log file or a pipe gets these lines alone,
    and a sign of life in longer epochs.
    """

    def __init__(self, refresh_rate: int = 1, process_position: int = 0, leave: bool = False) -> None:
        super().__init__(refresh_rate, process_position, leave)
        self._stays = leave
        self._shown: dict[str, float] = {}
        self._next: LateNumber | None = None
        self._table = EpochTable(None)
        self._began = self._spoke = time.monotonic()
        self._losses: Tensor | None = None
        self._steps = 0
        self._validated = False

    @property
    def is_enabled(self) -> bool:
        """Whether bars are drawn: on a terminal and in notebooks."""
        return super().is_enabled and is_interactive()

    def init_train_tqdm(self) -> Tqdm:
        """Draw a bar for training that goes when training ends, as its epochs have left their lines."""
        bar = super().init_train_tqdm()
        bar.leave = self._stays
        return bar

    def on_train_start(self, *hooked: Any) -> None:
        """Begin a table; arguments as in Lightning's hook."""
        super().on_train_start(*hooked)
        trainer = self.trainer
        epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None
        monitored = [
            callback.monitor
            for callback in trainer.checkpoint_callbacks
            if isinstance(callback, ModelCheckpoint) and callback.monitor
        ]
        self._table = EpochTable(epochs, monitored)

    def on_train_epoch_start(self, trainer: Trainer, *hooked: Any) -> None:
        """Number epochs from 1, as the results do; arguments as in Lightning's hook."""
        if self._stays:
            self.train_progress_bar = self.init_train_tqdm()
        self.train_progress_bar.reset()
        self.train_progress_bar.total = convert_inf(self.total_train_batches)
        self.train_progress_bar.initial = 0
        self.train_progress_bar.set_description(f"Epoch {self._table.number(trainer.current_epoch + 1)}")
        self._began = self._spoke = time.monotonic()
        self._losses, self._steps, self._validated = None, 0, False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss; arguments as in Lightning's hook."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and self._speaks:
            loss = loss.detach().float() * trainer.accumulate_grad_batches  # Lightning has divided it
            self._losses, self._steps = loss if self._losses is None else self._losses + loss, self._steps + 1
            if self.is_enabled and (not loss.is_cuda or batch_idx % _EVERY == 0):
                late, self._next = self._next, LateNumber(loss)
                if not loss.is_cuda or late is None:
                    late = self._next
                self._shown[_LOSS] = late.read()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._show_life(f"epoch {trainer.current_epoch + 1}", batch_idx, self.total_train_batches)

    def on_validation_batch_end(self, trainer: Trainer, *hooked: Any) -> None:
        """Count; arguments as in Lightning's hook."""
        super().on_validation_batch_end(trainer, *hooked)
        self._show_life("validation", hooked[3], self.total_val_batches_current_dataloader)

    def on_test_batch_end(self, trainer: Trainer, *hooked: Any) -> None:
        """Count; arguments as in Lightning's hook."""
        super().on_test_batch_end(trainer, *hooked)
        self._show_life("test", hooked[3], self.total_test_batches_current_dataloader)

    def on_predict_batch_end(self, trainer: Trainer, *hooked: Any) -> None:
        """Count; arguments as in Lightning's hook."""
        super().on_predict_batch_end(trainer, *hooked)
        self._show_life("prediction", hooked[3], self.total_predict_batches_current_dataloader)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that this epoch has scores; arguments as in Lightning's hook."""
        super().on_validation_end(trainer, pl_module)
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave a line; arguments as in Lightning's hook."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._losses is None or not self._speaks:
            return
        known = trainer.callback_metrics
        names = [name for name in self._table.titles if self._validated or not name.startswith("val")]
        scores = {name: float(known[name]) for name in names if name in known}  # else those of an earlier epoch
        scores[_LOSS] = float(self._losses) / self._steps
        self._say(self._table.lines(trainer.current_epoch + 1, scores, time.monotonic() - self._began))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the bars, so that what is said of the exception has a line of its own; arguments as in the hook."""
        for stage in ("train", "val", "test", "predict"):
            with suppress(TypeError):  # a bar that there isn't
                bar = getattr(self, f"{stage}_progress_bar")
                bar.leave = False
                bar.close()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Show the loss and the share of waiting; the lines of the epochs have the scores.

        Returns:
            What the bar shows, by name.
        """
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        shares = [callback.share for callback in callbacks if isinstance(callback, DataWait)]
        waits = {} if not shares or shares[0] is None else {"data_wait": shares[0]}
        further = {} if trainer.state.fn == "fit" else super().get_metrics(trainer, pl_module)
        return {**self._shown, **waits, **further}

    @property
    def _speaks(self) -> bool:
        return super().is_enabled

    def _show_life(self, what: str, batch_idx: int, batches: int | float) -> None:
        if self._speaks and not is_interactive() and time.monotonic() - self._spoke > _SIGN_OF_LIFE:
            self._say([f"{what}: {batch_idx + 1} of {batches} batches"])

    def _say(self, lines: Sequence[str]) -> None:
        self._spoke = time.monotonic()
        for line in lines:
            if self.is_enabled and not self.train_progress_bar.disable:
                self.train_progress_bar.write(line, file=sys.stdout)
            else:
                print(line, flush=True)  # noqa: T201 - what a log file is for


def is_interactive() -> bool:
    """Check whether somebody looks at the output as it comes, on a terminal or in a notebook."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules
