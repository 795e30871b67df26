"""Checkpoints with the weights only."""

from typing import Any

_TO_RESUME = ("optimizer_states", "lr_schedulers", "callbacks", "current_model_state", "averaging_state")


def leave_weights(checkpoint: dict[str, Any]) -> None:
    """Leave out what it takes to resume; of averaged weights the average stays, which is what was validated.

    Lightning's own way wouldn't ask the callback that averages.

    Args:
        checkpoint: What is about to be saved; changed in place.
    """
    for name in _TO_RESUME:
        checkpoint.pop(name, None)
