"""Compares the scores that callbacks watch with those that there will be."""

from collections.abc import Iterator

from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelSummary, ProgressBar
from lightning.pytorch.utilities import rank_zero_warn

from callbacks.early_stopping import EarlyStopping
from callbacks.gradual_unfreezing import GradualUnfreezing
from callbacks.saving.checkpoint import Checkpoint
from lightning_modules import ImageClassifier
from runs.suggestions import did_you_mean

_ADVICE = {
    "early_stopping": "watch train/loss, or set early_stopping.patience to null",
    "unfreezing": "unfreeze by unfreezing.every_n_epochs instead of unfreezing.patience",
}


def check_monitors(trainer: Trainer, module: ImageClassifier, not_validated: str | None = None) -> None:
    """Refuse to watch a score that there won't be, before anything is trained.

    What classes of a user's own log isn't known; with any of these, a missing score is found in the first epoch.

    Args:
        trainer: The trainer.
        module: The classifier.
        not_validated: Why the data have no validation images; None if they have.

    Raises:
        MisconfigurationException: If there is no such score.
    """
    scores = module.metrics.names("val")
    every = trainer.check_val_every_n_epoch
    why = not_validated or why_not_validated(trainer.limit_val_batches, every, trainer.max_epochs)
    foreign = type(module) is not ImageClassifier or not all(
        map(_is_ours, trainer.callbacks)  # type: ignore[attr-defined]
    )
    for option, monitor, means in _watched(trainer):
        if why and (monitor in scores or option == "unfreezing"):
            lack = f"{option}.monitor is {monitor!r}, which there won't be, since nothing is validated"
            if option == "checkpoint":
                rank_zero_warn(f"{lack}: the run will have last.ckpt and no best.ckpt ({why}).")
            elif option == "unfreezing" or trainer.limit_val_batches == 0:  # else it is never asked to stop
                raise MisconfigurationException(f"{lack} ({why}): {_ADVICE[option]}.")
        elif monitor not in (known := sorted([*scores, *means])) and not foreign:
            raise MisconfigurationException(
                f"{option}.monitor is {monitor!r}, but there are only {', '.join(known)}: choose one of them."
                f"{did_you_mean(monitor, known)}"
            )


def _watched(trainer: Trainer) -> Iterator[tuple[str, str, list[str]]]:
    """List the callbacks' options, what each watches, and the scores of training that it would find."""
    # as Lightning's callbacks have it; where nothing is validated, they look at the end of each epoch too
    by_epoch = trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1
    by_epoch |= trainer.limit_val_batches == 0
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Checkpoint):
            yield "checkpoint", str(callback.monitor), ["train/loss", *["train/accuracy"] * by_epoch]
        elif isinstance(callback, EarlyStopping) and callback.enabled:
            yield "early_stopping", callback.monitor, ["train/loss", *["train/accuracy"] * by_epoch]
        elif isinstance(callback, GradualUnfreezing) and callback.patience is not None:
            yield "unfreezing", callback.monitor, ["train/loss"]  # the accuracy is known after the validation


def why_not_validated(limit: float | None, every: int | None, epochs: int | None) -> str:
    """Say which of the trainer's options keeps a run from being validated.

    Args:
        limit: ``limit_val_batches``.
        every: ``check_val_every_n_epoch``.
        epochs: ``max_epochs``.

    Returns:
        A clause without a full stop; nothing if there is a validation.
    """
    if limit == 0:
        return "trainer.limit_val_batches is 0"
    if every is not None and epochs is not None and 0 < epochs < every:
        return f"trainer.check_val_every_n_epoch is {every} and the run has {epochs} epoch{'s' * (epochs != 1)}"
    return ""


def _is_ours(callback: Callback) -> bool:
    """Check whether it is known what a callback logs."""
    return type(callback).__module__.startswith("callbacks.") or isinstance(callback, ProgressBar | ModelSummary)
