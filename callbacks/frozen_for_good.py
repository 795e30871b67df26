"""Says which groups of layers an unfreezing schedule leaves frozen, and what to change."""

import math
from itertools import count

from lightning import Trainer


def epochs_allowed(trainer: Trainer) -> int | None:
    """Number the epochs that a run may have.

    Args:
        trainer: The trainer, which knows its data.

    Returns:
        What ``max_epochs`` and ``max_steps`` allow; None if neither limits the epochs.
    """
    limits = [trainer.max_epochs] if trainer.max_epochs is not None and trainer.max_epochs > 0 else []
    if trainer.max_steps > 0 and math.isfinite(trainer.num_training_batches):
        steps = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        limits.append(math.ceil(trainer.max_steps / steps))
    return min(limits, default=None)


def advice(frozen: list[str], further: int, epochs: int, every_n_epochs: int | None, listed: list[int] | None) -> str:
    """Explain what a schedule that is known beforehand leaves frozen.

    Args:
        frozen: Names of the groups.
        further: Number of the groups besides the head.
        epochs: Number of epochs of the run.
        every_n_epochs: As that of ``GradualUnfreezing``.
        listed: Its ``epochs``, where ``every_n_epochs`` is None.

    Returns:
        What stays frozen, why, and what to change.
    """
    lack = f"Frozen for good: {', '.join(frozen)}, since unfreezing."
    if every_n_epochs is None:
        return (
            f"{lack}epochs is {listed} and the run has {epochs} epochs, counted from 0. To unfreeze all, list "
            f"{further} epochs below {epochs}, or train longer (trainer.max_epochs)."
        )
    most = (epochs - 1) // further
    return (
        f"{lack}every_n_epochs is {every_n_epochs} and the run has {epochs} epochs. Train for "
        f"{further * every_n_epochs + 1} epochs or more (trainer.max_epochs)"
        + (f", or set unfreezing.every_n_epochs to {most}." if most else ".")
    )


def validations(trainer: Trainer, first: int, end: int) -> int | None:
    """Count the validations of some epochs.

    Args:
        trainer: The trainer, which knows its data.
        first: The first of the epochs, counted from 0.
        end: The first epoch that isn't one of them.

    Returns:
        Their number; None if it isn't known, as with ``val_check_interval`` as a time.
    """
    batches, interval, every = trainer.num_training_batches, trainer.val_check_batch, trainer.check_val_every_n_epoch
    if interval is None or not math.isfinite(batches):
        return None
    if every is None:
        return int(end * batches // interval - first * batches // interval)
    return (end // every - first // every) * (int(batches // interval) if math.isfinite(interval) else 1)


def patience_advice(
    trainer: Trainer, groups: list[str], epochs: int, patience: int, head_start: int, monitor: str
) -> str | None:
    """Explain what ``patience`` leaves frozen at best, should the score stall at every opportunity.

    Args:
        trainer: The trainer, at the start of the training or of its resumption.
        groups: Names of the groups that are frozen now, from input towards the head.
        epochs: Number of epochs of the run.
        patience: As that of ``GradualUnfreezing``.
        head_start: Validations without improvement so far; -1 if the first one is to come, which always improves.
        monitor: Name of the score.

    Returns:
        What stays frozen in any case, why, and what to change; None if all may be unfrozen in time.
    """

    def left(run: int) -> int | None:
        """Count the validations before the last epoch of a run of so many epochs."""
        return validations(trainer, trainer.current_epoch, max(trainer.current_epoch, run - 1))

    found = left(epochs)
    if found is None:
        return None
    most = max(0, found + head_start)
    if most // patience >= len(groups):
        return None
    needed = next(run for run in count(epochs) if (left(run) or 0) + head_start >= len(groups) * patience)
    lower = max(0, found + min(head_start, 0)) // len(groups)
    return (
        f"Frozen for good, even if {monitor} never improves: {', '.join(groups[: len(groups) - most // patience])}, "
        f"since unfreezing.patience is {patience}, {len(groups)} groups are frozen and the run has {epochs} "
        f"epoch{'s' * (epochs != 1)}. Train for {needed} epochs or more (trainer.max_epochs), or "
        + (f"set unfreezing.patience to {lower}." if lower else "list several groups an epoch in unfreezing.epochs.")
    )
