"""A trainer that takes numbers of batches as they were written."""

import math
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelSummary as LightningModelSummary
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar

from callbacks import ModelSummary, ProgressBar
from command_line.number_rules import check_trainer_numbers

Precision: TypeAlias = (
    Literal["auto", "32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"]
    | Literal["transformer-engine", "transformer-engine-float16", "32", "16", "bf16", "64", 32, 16, 64]
)

_POINTS_PER_EPOCH = 20
_RAREST = 50  # steps between two points, as with Lightning


class StrictTrainer(Trainer):
    """Lightning's trainer, whose limits of 1 mean one batch, and which refuses values that would fail later.

    Lightning declares the limits as ``int | float``, but ``typing`` caches unions whatever their order, and so hands
    the command line ``float | int``: it would read 1 as 1.0, which is all batches.

    Args:
        *args: As those of ``Trainer``.
        limit_train_batches: Training batches of an epoch, or as a float their fraction.
        limit_val_batches: Validation batches, or as a float their fraction.
        limit_test_batches: Test batches, or as a float their fraction.
        limit_predict_batches: Batches to predict, or as a float their fraction.
        val_check_interval: Batches from one validation to the next, as a float a share of an epoch, or a time.
        accumulate_grad_batches: Batches of an optimizer step.
        log_every_n_steps: Optimizer steps from one point of the training curves to the next; null draws about 20
            points an epoch, but at least one every 50 steps; 0 draws none.
        precision: As that of ``Trainer``; ``auto`` lets the command line choose for the device and the network.
        float32_matmul_precision: As PyTorch's setting of this name: ``high`` lets GPUs multiply in TF32; null chooses.
        callbacks: As those of ``Trainer``.
        enable_progress_bar: Show how far an epoch is, as ``callbacks`` says or else by ``ProgressBar``.
        enable_model_summary: Print what is about to be trained, as ``callbacks`` says or else in a few lines.
        barebones: As that of ``Trainer``.
        **kwargs: As those of ``Trainer``.

    Raises:
        MisconfigurationException: If a number makes no sense.

    Attributes:
        folder: The folder that the command writes to; None for one that writes none.
    """

    folder: Path | None = None
    val_check_interval: Any = None  # Lightning doesn't set it where it is a time, but reads it
    _log_interval: int | None = None

    def __init__(
        self,
        *args: Any,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        val_check_interval: int | float | str | timedelta | dict[str, int] | None = None,
        accumulate_grad_batches: int = 1,
        log_every_n_steps: int | None = None,
        precision: Precision | None = "auto",
        float32_matmul_precision: Literal["highest", "high", "medium"] | None = None,
        callbacks: list[Callback] | Callback | None = None,
        enable_progress_bar: bool | None = None,
        enable_model_summary: bool | None = None,
        barebones: bool = False,
        **kwargs: Any,
    ) -> None:
        own = {"log_every_n_steps": log_every_n_steps, "accumulate_grad_batches": accumulate_grad_batches}
        check_trainer_numbers({**own, **kwargs})
        if isinstance(val_check_interval, int | float) and not val_check_interval > 0:
            raise MisconfigurationException(
                f"trainer.val_check_interval is {val_check_interval}: it has to be above 0; with "
                "trainer.limit_val_batches=0 nothing is validated."
            )
        if float32_matmul_precision is not None:
            torch.set_float32_matmul_precision(float32_matmul_precision)
        callbacks = [*callbacks] if isinstance(callbacks, Sequence) else [callbacks] if callbacks else []
        if enable_model_summary is not False and not barebones:
            enable_model_summary = False  # which keeps Lightning from adding its own, or saying that there is one
            if not _has(callbacks, LightningModelSummary):
                callbacks.append(ModelSummary())
        if enable_progress_bar is not False and not barebones and not _has(callbacks, LightningProgressBar):
            callbacks.append(ProgressBar())
        try:
            super().__init__(
                *args,
                limit_train_batches=limit_train_batches,
                limit_val_batches=limit_val_batches,
                limit_test_batches=limit_test_batches,
                limit_predict_batches=limit_predict_batches,
                val_check_interval=val_check_interval,
                accumulate_grad_batches=accumulate_grad_batches,
                log_every_n_steps=log_every_n_steps,
                precision=None if precision == "auto" else precision,
                callbacks=callbacks,
                enable_progress_bar=enable_progress_bar,
                enable_model_summary=enable_model_summary,
                barebones=barebones,
                **kwargs,
            )
        except (ValueError, TypeError) as error:
            raise MisconfigurationException(f"trainer: {' '.join(str(error).split())}") from error
        if log_every_n_steps is None and not barebones:
            self._log_interval = None

    @property
    def log_every_n_steps(self) -> int:
        """Optimizer steps from one point of the training curves to the next, 0 for no curves.

        Where none was set it follows from the number of steps of an epoch, or of the run if it is shorter, which a
        resumed run has in common with the interrupted one.
        """
        if self._log_interval is not None:
            return self._log_interval
        batches, longest = self.fit_loop.max_batches, self.fit_loop.max_steps
        steps = math.ceil(batches / self.accumulate_grad_batches) if math.isfinite(batches) else math.inf
        steps = min(steps, longest) if longest and longest > 0 else steps
        return int(max(1, min(_RAREST, steps // _POINTS_PER_EPOCH)))

    @log_every_n_steps.setter
    def log_every_n_steps(self, interval: int) -> None:
        self._log_interval = interval


def _has(callbacks: list[Callback], kind: type[Callback]) -> bool:
    return any(isinstance(callback, kind) for callback in callbacks)
