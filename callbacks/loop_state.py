"""Brings what Lightning saves of its loops into a state that it resumes from rightly."""

from typing import Any

from lightning import Trainer

_LOOP = "epoch_loop.batch_progress"
_VALIDATION = "epoch_loop.val_loop.batch_progress"


def before_training(checkpoint: dict[str, Any]) -> None:
    """Describe a run in which nothing has happened yet.

    Lightning would take the restored zeros for a finished epoch and skip the first batch.

    Args:
        checkpoint: What is about to be saved; changed in place.
    """
    del checkpoint["loops"]


def between_batches(checkpoint: dict[str, Any]) -> None:
    """Forget the batch that has been fetched but not trained on, so that a resumed run begins with it.

    Args:
        checkpoint: What is about to be saved; changed in place.
    """
    checkpoint["loops"]["fit_loop"][_LOOP]["is_last_batch"] = False
    for counts in _counters(checkpoint, _LOOP):
        counts["ready"] = counts["started"] = counts["processed"] = counts["completed"]


def before_validation(checkpoint: dict[str, Any]) -> None:
    """Describe a validation that has been begun, which a resumed run begins again.

    Args:
        checkpoint: What is about to be saved; changed in place.
    """
    for counts in _counters(checkpoint, _VALIDATION):
        counts["ready"] = counts["started"] = counts["completed"] + 1


def begin_validation(trainer: Trainer) -> None:
    """Forget the batch that ``before_validation`` has made up.

    Args:
        trainer: The trainer, which is about to validate in the middle of a fit.
    """
    counts: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress.total
    counts.ready = counts.started = counts.completed


def _counters(checkpoint: dict[str, Any], loop: str) -> list[dict[str, int]]:
    progress = checkpoint["loops"]["fit_loop"][loop]
    return [progress["total"], progress["current"]]
