"""Refuses numbers out of range."""

from lightning.fabric.utilities.exceptions import MisconfigurationException


def check_range(name: str, value: float, least: float, most: float | None = None) -> None:
    """Refuse a number out of its range.

    Args:
        name: The argument of the data module.
        value: Its value.
        least: Smallest value allowed.
        most: Largest value allowed; None for no limit.

    Raises:
        MisconfigurationException: If the value lies outside.
    """
    if most is None and not value >= least:
        raise MisconfigurationException(f"data.{name} is {value}: it has to be {least} or more.")
    if most is not None and not least <= value <= most:
        raise MisconfigurationException(f"data.{name} is {value}: it has to be between {least} and {most}.")
