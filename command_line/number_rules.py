"""Numbers of a training that make no sense, and those that are hardly meant."""

from collections.abc import Mapping
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

_LEAST = {
    "log_every_n_steps": 0,
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "min_epochs": 0,
    "min_steps": 0,
    "num_sanity_val_steps": -1,
    "reload_dataloaders_every_n_epochs": 0,
}


def check_trainer_numbers(values: Mapping[str, Any]) -> None:
    """Refuse numbers that Lightning takes, and fails with later or passes over.

    Args:
        values: Arguments of ``Trainer`` by name.

    Raises:
        MisconfigurationException: If one is too small.
    """
    for name, least in _LEAST.items():
        value = values.get(name)
        if value is not None and not value >= least:
            raise MisconfigurationException(f"trainer.{name} is {value}: it has to be {least} or more.")


def check_pixel_statistics(model: Mapping[str, Any]) -> None:
    """Refuse means and deviations of pixels that count to 255.

    A new training is asked alone, unlike by ``check_hyper_parameters``: older checkpoints load whatever they have.

    Args:
        model: Arguments of the classifier.

    Raises:
        MisconfigurationException: If one is beyond 1, or a deviation isn't above 0.
    """
    for name in ("pixel_mean", "pixel_std"):
        values = model[name] or []
        if any(abs(value) > 1 for value in values):
            raise MisconfigurationException(
                f"model.{name} is {values}, but pixels are from 0 to 1 where the network sees them: divide it by 255."
            )
        if name == "pixel_std" and any(value <= 0 for value in values):
            raise MisconfigurationException(f"model.{name} is {values}: each number has to be above 0.")


def warn_of_schedule(model: Mapping[str, Any], trainer: Mapping[str, Any]) -> None:
    """Warn of a schedule with which a training learns little or nothing.

    Args:
        model: Arguments of the classifier.
        trainer: Arguments of the trainer.
    """
    epochs = trainer["max_epochs"]
    all_epochs = f"{epochs} epoch{'s' * (epochs != 1)}"
    if model["learning_rate"] == 0:
        rank_zero_warn("model.learning_rate is 0: nothing is learned.")
    elif epochs is not None and 0 < epochs < model["warmup_epochs"]:
        rank_zero_warn(
            f"model.warmup_epochs is {model['warmup_epochs']:g} of {all_epochs}: the learning rate rises until "
            "the end, and never reaches model.learning_rate."
        )
    if epochs is not None and 0 < epochs < (trainer["min_epochs"] or 0):
        rank_zero_warn(f"trainer.min_epochs is {trainer['min_epochs']}, but training ends after {all_epochs}.")
