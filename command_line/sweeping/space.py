"""What a search may try: options with their ranges, from a YAML file."""

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space: TypeAlias = "dict[str, BaseDistribution]"

_RANGE = {"low", "high", "step", "log"}
_ROUNDING = 1e-8  # of numbers of steps, as in Optuna
_EXAMPLE = "a list of choices, or {low: 0.0001, high: 0.01, log: true}"


def read_space(file: Path) -> Space:
    """Read a search space.

    Args:
        file: YAML: for each option of ``fit`` a list of choices, or ``low`` and ``high``, with ``log: true`` for values
            that differ by factors or ``step`` for multiples. Whole numbers on both sides make whole numbers.

    Returns:
        Optuna's distributions by option.

    Raises:
        MisconfigurationException: If the file can't be read, or says something else.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MisconfigurationException(f"Can't read --space {file}: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise MisconfigurationException(f"--space {file} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, Mapping) or not content:
        raise MisconfigurationException(
            f"--space {file} has no options: it has to say for each option of fit what is tried, {_EXAMPLE}."
        )
    space = {}
    for key, value in content.items():
        try:
            space[str(key)] = _distribution(value)
        except ValueError as error:
            reason = str(error).rstrip(".")
            raise MisconfigurationException(f"--space {file}: {key} is {value!r}: {reason}.") from error
    return space


def _distribution(value: Any) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(value, list):
        if not value:
            raise ValueError("there is nothing to choose from")
        if not all(choice is None or isinstance(choice, bool | int | float | str) for choice in value):
            raise ValueError("choices have to be numbers, words, true, false or null; write a list as a word, '[1, 2]'")
        return CategoricalDistribution(value)
    if not isinstance(value, Mapping) or not {"low", "high"} <= value.keys():
        raise ValueError(f"it has to be {_EXAMPLE}")
    if value.keys() - _RANGE:
        raise ValueError(f"a range has low, high, log and step, not {', '.join(sorted(value.keys() - _RANGE))}")
    bounds = {name: value[name] for name in ("low", "high", "step") if name in value}
    if not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds.values()):
        raise ValueError("low, high and step have to be numbers; YAML reads 1e-4 as a word, 1.0e-4 as a number")
    whole = all(isinstance(bound, int) for bound in bounds.values())
    return (IntDistribution if whole else FloatDistribution)(**bounds, log=bool(value.get("log", False)))


def written(key: str, value: Any) -> str:
    """Write a value as an option.

    Args:
        key: The option's name, without dashes.
        value: The value.

    Returns:
        The option as it is typed.
    """
    return f"--{key}={json.dumps(value) if value is None or isinstance(value, bool) else value}"


def brief(value: Any) -> str:
    """Format a value for display.

    Args:
        value: The value.

    Returns:
        Text, of a number four digits, of others as YAML has them.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def corners(space: Space) -> Iterator[list[str]]:
    """List options that have every choice and both ends of every range once.

    Args:
        space: The space.

    Yields:
        Options, to be parsed together.
    """
    ends = [
        list(getattr(distribution, "choices", ())) or [distribution.low, distribution.high]  # type: ignore[attr-defined]
        for distribution in space.values()
    ]
    missing = object()
    for values in zip_longest(*ends, fillvalue=missing):
        yield [
            written(key, end[0] if value is missing else value)
            for key, end, value in zip(space, ends, values, strict=True)
        ]


def values_in(space: Space, config: Mapping[str, Any]) -> dict[str, Any]:
    """Take the values that a config has already, to be tried first.

    Args:
        space: The space.
        config: Values by dotted key.

    Returns:
        Those that lie in the space.
    """
    found = {}
    for key, distribution in space.items():
        section, _, name = key.rpartition(".")
        value = config.get(key, config.get(f"{section}.init_args.{name}"))
        choices = getattr(distribution, "choices", None)
        if choices is not None:
            inside = value in choices
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            inside = number and _is_within(distribution, value)
        if inside:
            found[key] = value
    return found


def _is_within(distribution: Any, value: float) -> bool:
    """Check whether a range has a value, which with a step has to be so many of them above its lower end."""
    steps = (value - distribution.low) / distribution.step if distribution.step else 0.0
    return bool(distribution.low <= value <= distribution.high) and abs(steps - round(steps)) < _ROUNDING
