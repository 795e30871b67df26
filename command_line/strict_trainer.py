"""A trainer that takes numbers of batches as they were written."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException


class StrictTrainer(Trainer):
    """Lightning's trainer, whose limits of 1 mean one batch, and which refuses what it would stumble over later.

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
        **kwargs: As those of ``Trainer``.

    Raises:
        MisconfigurationException: If a number makes no sense.

    Attributes:
        folder: The folder that the command writes to; None for one that writes none.
    """

    folder: Path | None = None

    def __init__(
        self,
        *args: Any,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        val_check_interval: int | float | str | timedelta | dict[str, int] | None = None,
        accumulate_grad_batches: int = 1,
        **kwargs: Any,
    ) -> None:
        if accumulate_grad_batches < 1:
            raise MisconfigurationException(
                f"trainer.accumulate_grad_batches is {accumulate_grad_batches}: it has to be 1 or more."
            )
        if isinstance(val_check_interval, int | float) and not val_check_interval > 0:
            raise MisconfigurationException(
                f"trainer.val_check_interval is {val_check_interval}: it has to be above 0; with "
                "trainer.limit_val_batches=0 nothing is validated."
            )
        try:
            super().__init__(
                *args,
                limit_train_batches=limit_train_batches,
                limit_val_batches=limit_val_batches,
                limit_test_batches=limit_test_batches,
                limit_predict_batches=limit_predict_batches,
                val_check_interval=val_check_interval,
                accumulate_grad_batches=accumulate_grad_batches,
                **kwargs,
            )
        except (ValueError, TypeError) as error:
            raise MisconfigurationException(f"trainer: {' '.join(str(error).split())}") from error
