"""A trainer that is told numbers of batches as they were written."""

from typing import Any

from lightning import Trainer


class BatchLimits(Trainer):
    """Lightning's trainer, whose limits of 1 mean one batch.

    Lightning declares them as ``int | float``, but ``typing`` caches unions whatever their order, and so hands the
    command line ``float | int``: it would read 1 as 1.0, which is all batches.

    Args:
        *args: As those of ``Trainer``.
        limit_train_batches: Training batches of an epoch, or as a float their fraction.
        limit_val_batches: Validation batches, or as a float their fraction.
        limit_test_batches: Test batches, or as a float their fraction.
        limit_predict_batches: Batches to predict, or as a float their fraction.
        **kwargs: As those of ``Trainer``.
    """

    def __init__(
        self,
        *args: Any,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            limit_test_batches=limit_test_batches,
            limit_predict_batches=limit_predict_batches,
            **kwargs,
        )
