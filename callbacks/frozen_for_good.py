"""Says which groups of layers an unfreezing schedule leaves frozen, and what to change."""

import math

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
