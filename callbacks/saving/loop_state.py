"""Corrects the state that Lightning saves of its loops, so that it resumes correctly."""

from typing import Any

from lightning import Trainer

_LOOP = "epoch_loop.batch_progress"
_VALIDATION = "epoch_loop.val_loop.batch_progress"
_STATE = "epoch_loop.state_dict"
_MOMENT = "moment"
# what a resumed run is to be told when it asks whether to validate after the last batch before the interruption: time
# and changed settings would give other answers, and each pass through this place counts the batch before again
_ANSWERS = {"between batches": [False], "before validation": [True, True], "after validation": [True]}


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
    _note(checkpoint, "between batches")


def before_validation(checkpoint: dict[str, Any]) -> None:
    """Describe a validation that has been begun, which a resumed run begins again.

    Args:
        checkpoint: What is about to be saved; changed in place.
    """
    for counts in _counters(checkpoint, _VALIDATION):
        counts["ready"] = counts["started"] = counts["completed"] + 1
    _note(checkpoint, "before validation")


def after_validation(checkpoint: dict[str, Any]) -> None:
    """Describe a validation that has ended, after which training continues.

    Args:
        checkpoint: What is about to be saved; changed in place.
    """
    _note(checkpoint, "after validation")


def moment_of(checkpoint: dict[str, Any]) -> str | None:
    """Read when a checkpoint was saved.

    Args:
        checkpoint: Its content.

    Returns:
        The moment; None at the ends of epochs, and in checkpoints that an older version wrote.
    """
    moment: str | None = checkpoint.get("loops", {}).get("fit_loop", {}).get(_STATE, {}).get(_MOMENT)
    return moment


def resume_by_epochs(trainer: Trainer) -> None:
    """Let Lightning tell whether an epoch had ended: with ``max_steps`` it would take each for one that hadn't.

    Args:
        trainer: The trainer, which is about to restore a checkpoint; changed in place, until ``go_on``.
    """
    loop: Any = trainer.fit_loop
    loop._iteration_based_training = lambda: False


def go_on(trainer: Trainer, moment: str | None) -> None:
    """Let a resumed run begin where the checkpoint was saved, and not validate too often, too rarely or twice.

    Args:
        trainer: The trainer, which is about to train; changed in place.
        moment: What ``moment_of`` has read.
    """
    vars(trainer.fit_loop).pop("_iteration_based_training", None)  # that of its class comes back
    loop: Any = trainer.fit_loop.epoch_loop
    answers = list(_ANSWERS.get(moment or "", []))

    def answer(data_fetcher: Any) -> bool:
        if answers and loop.restarting:
            return answers.pop(0)
        del loop._should_check_val_fx  # that of its class comes back
        again: bool = loop._should_check_val_fx(data_fetcher)
        return again

    if answers:
        loop._should_check_val_fx = answer


def accumulates(trainer: Trainer) -> bool:
    """Check whether gradients of the last batch still wait for an optimizer step, which no checkpoint holds.

    Args:
        trainer: The trainer, which isn't in the middle of a batch.

    Returns:
        Whether they do.
    """
    waits: bool = trainer.fit_loop.epoch_loop._should_accumulate()
    return waits


def begin_validation(trainer: Trainer) -> None:
    """Forget the batch that ``before_validation`` has made up.

    Args:
        trainer: The trainer, which is about to validate in the middle of a fit.
    """
    counts: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress.total
    counts.ready = counts.started = counts.completed


def _note(checkpoint: dict[str, Any], moment: str) -> None:
    checkpoint["loops"]["fit_loop"][_STATE][_MOMENT] = moment


def _counters(checkpoint: dict[str, Any], loop: str) -> list[dict[str, int]]:
    progress = checkpoint["loops"]["fit_loop"][loop]
    return [progress["total"], progress["current"]]
