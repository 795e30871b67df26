"""Finds whether a score is to be maximised or minimised."""

import re
from typing import Literal, TypeAlias

from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.suggestions import did_you_mean

Mode: TypeAlias = Literal["min", "max"]

_LESS = {
    "loss",
    "error",
    "error_rate",
    "cross_entropy",
    "nll",
    "perplexity",
    "brier_score",
    "ece",
    "mae",
    "mse",
    "rmse",
}
_MORE = {
    *("accuracy", "acc", "balanced_accuracy", "top1_accuracy", "top5_accuracy", "top1", "top5", "precision", "recall"),
    *("sensitivity", "specificity", "f1", "f1_score", "auroc", "auc", "map", "mcc", "kappa", "iou"),
}
_STAGE = re.compile(r"^(train|training|val|valid|validation|eval|test)(_tta)?[/_.]|_(step|epoch)$")  # Lightning's ends
_F_BETA = re.compile(r"f\d+")


def mode_of(callback: str, monitor: str, mode: Mode | None) -> Mode:
    """Find whether a score is to be maximised or minimised.

    Args:
        callback: Name of the callback's options, for messages.
        monitor: Name of the score that it watches.
        mode: What its options say; None follows from the name of the score.

    Returns:
        ``max`` or ``min``.

    Raises:
        MisconfigurationException: If the name says nothing, or the opposite of ``mode``.
    """
    name = _STAGE.sub("", monitor.lower())
    more = name in _MORE or _F_BETA.fullmatch(name)
    known: Mode | None = "max" if more else "min" if name in _LESS else None
    if mode is None and known is None:
        raise MisconfigurationException(
            f"{callback}.monitor is {monitor!r}, a score of which it isn't known whether more or less is better: set "
            f"{callback}.mode to max or min.{did_you_mean(name, _LESS | _MORE)}"
        )
    if mode is not None and known is not None and mode != known:
        better = "more" if known == "max" else "less"
        raise MisconfigurationException(
            f"{callback}.mode is {mode}, but of {monitor} {better} is better: set {callback}.mode to {known} or null."
        )
    return mode or known or "max"
