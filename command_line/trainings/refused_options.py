"""Options that would be without effect in a command, or keep the trainings that it starts from being finished."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.arguments.options import REFUSED, STARTING_TRAININGS, value_of
from command_line.trainings.typed import Typed

_ENDING_EARLY = ("trainer.fast_dev_run", "lr_finder.enabled", "batch_size_finder.enabled")
_SCORED = ("scores.enabled",)
_COMPARING = ("repeat", "sweep")


def refuse_names(command: str, options: Sequence[str], output: str) -> None:
    """Refuse names of runs where the command begins none, or names them itself.

    Args:
        command: The command.
        options: What was typed behind it.
        output: What it writes.

    Raises:
        MisconfigurationException: If there is such an option; names in config files are those of ``fit``.
    """
    for name in REFUSED.get(command, ()):
        if value_of(options, f"--{name}") is not None:
            _refuse_name(command, name, output)


def refuse_options(command: str, typed: Typed) -> None:
    """Refuse what can't be meant, before anything is written.

    Args:
        command: ``repeat``, ``sweep`` or ``doubts``.
        typed: What was typed.

    Raises:
        MisconfigurationException: If the trainings would never be finished, or would have no scores.
    """
    _refuse_values(command, {name: typed.config.get(name) for name in (*_ENDING_EARLY, *_SCORED)})


def refuse_space(space: Mapping[str, Any], typed: Typed) -> None:
    """Refuse a search space for what ``sweep`` refuses as an option.

    Args:
        space: Distributions by option.
        typed: What was typed.

    Raises:
        MisconfigurationException: As in ``refuse_options``, and if a choice would leave nothing to validate with.
    """
    for name, tried in space.items():
        if name in (*REFUSED["sweep"], "experiment"):
            _refuse_name("sweep", name, typed.config["output"])
        values = [*getattr(tried, "choices", [getattr(tried, "low", None), getattr(tried, "high", None)])]
        for value in values:
            _refuse_values("sweep", {name: value})
        if name == "data.val_fraction" and any(value is not None and not value for value in values):
            raise MisconfigurationException(
                "data.val_fraction may be 0 in the search space, which leaves no image to validate with, and so no "
                "score to search by: leave 0 out."
            )


def _refuse_name(command: str, name: str, output: str) -> None:
    where = (
        f"names its runs itself, in the folder that --output names ({output})"
        if command in STARTING_TRAININGS
        else f"begins no run, and writes what --output names ({output})"
    )
    raise MisconfigurationException(f"{command} {where}: leave --{name} out.")


def _refuse_values(command: str, values: Mapping[str, Any]) -> None:
    for option, value in values.items():
        if option in _ENDING_EARLY and value:
            raise MisconfigurationException(
                f"{option} is {str(value).lower()}, with which no training of {command} would be finished: leave it "
                "out, or try it with fit."
            )
        if option in _SCORED and command in _COMPARING and value is False:
            raise MisconfigurationException(
                f"{option} is false, but {command} compares the trainings by their scores: leave it true."
            )
