"""Options that would be without effect in a command which starts trainings, or keep them from being finished."""

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.arguments.options import REFUSED, value_of
from command_line.trainings.typed import Typed

_ENDING_EARLY = ("trainer.fast_dev_run", "lr_finder.enabled", "batch_size_finder.enabled")
_COMPARING = ("repeat", "sweep")


def refuse_options(command: str, typed: Typed) -> None:
    """Refuse what can't be meant, before anything is written.

    Args:
        command: ``repeat``, ``sweep`` or ``doubts``.
        typed: What was typed.

    Raises:
        MisconfigurationException: If an option would be ignored, or the trainings would never be finished or have no
            scores.
    """
    for name in REFUSED[command]:
        if value_of(typed.options, f"--{name}") is not None:
            raise MisconfigurationException(
                f"{command} names its runs itself, in the folder that --output names ({typed.config['output']}): leave "
                f"--{name} out."
            )
    for option in _ENDING_EARLY:
        if value := typed.config.get(option):
            raise MisconfigurationException(
                f"{option} is {str(value).lower()}, with which no training of {command} would be finished: leave it "
                "out, or try it with fit."
            )
    if command in _COMPARING and typed.config.get("scores.enabled") is False:
        raise MisconfigurationException(
            f"scores.enabled is false, but {command} compares the trainings by their scores: leave it true."
        )
