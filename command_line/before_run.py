"""What is answered before a run begins, and before its folder is made."""

from typing import Any

_FINDERS = ("lr_finder", "batch_size_finder")
_MONITORS = ("checkpoint", "early_stopping", "unfreezing")


def forget_monitors(config: Any) -> None:
    """Leave out of a config what its training watched, which an evaluation doesn't need and has no reason to refuse.

    Args:
        config: The config of ``validate``, ``test`` or ``predict``; changed in place.
    """
    for name in _MONITORS:
        config[f"{name}.monitor"], config[f"{name}.mode"] = "val/f1", None


def is_search(config: Any) -> bool:
    """Tell a search for a learning rate or a batch size from a training.

    Args:
        config: The config of ``fit``.

    Returns:
        Whether it ends before anything is trained.
    """
    return not config.trainer.fast_dev_run and any(config[f"{name}.enabled"] for name in _FINDERS)
