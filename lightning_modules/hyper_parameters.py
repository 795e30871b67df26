"""Refuses invalid hyper-parameters."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

_FROM_0: tuple[Callable[[float], bool], str] = (lambda value: 0 <= value < math.inf, "0 or more, and finite")
_ABOVE_0: tuple[Callable[[float], bool], str] = (lambda value: 0 < value < math.inf, "above 0, and finite")
_SHARE: tuple[Callable[[float], bool], str] = (lambda value: 0 <= value < 1, "at least 0 and below 1")
_FACTOR: tuple[Callable[[float], bool], str] = (lambda value: 0 < value <= 1, "above 0 and at most 1")
_RULES = {
    "learning_rate": _FROM_0,
    "weight_decay": _FROM_0,
    "momentum": _SHARE,
    "layer_decay": _FACTOR,
    "warmup_epochs": _FROM_0,
    "label_smoothing": _SHARE,
    "mixup_alpha": _FROM_0,
    "cutmix_alpha": _FROM_0,
    "dropout": _SHARE,
    "stochastic_depth": _SHARE,
    "cosine_scale": _ABOVE_0,
    "gem_power": _ABOVE_0,
}


def check_hyper_parameters(values: Mapping[str, Any]) -> None:
    """Refuse numbers out of their range, and fewer than two classes.

    Args:
        values: Arguments of ``ImageClassifier`` by name.

    Raises:
        MisconfigurationException: If one makes no sense.
    """
    if len(values["class_names"] or []) < 2:
        raise MisconfigurationException("model.class_names needs the names of two classes or more.")
    for name in ("pixel_mean", "pixel_std"):
        if values[name] is not None and len(values[name]) != 3:
            raise MisconfigurationException(f"model.{name} is {values[name]}: it has to be three numbers, or null.")
    for name, (allowed, requirement) in _RULES.items():
        if values[name] is not None and not allowed(values[name]):
            raise MisconfigurationException(f"model.{name} is {values[name]}: it has to be {requirement}.")
