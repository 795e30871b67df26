"""What was typed for a command that starts others."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jsonargparse import Namespace

from callbacks.monitors import why_not_validated
from command_line.arguments.options import without
from datamodules import ImageDataModule


@dataclass(frozen=True)
class Typed:
    """The options of a command that starts trainings.

    Attributes:
        options: The options as they were typed.
        config: What they come down to, flat: values by dotted key.
        settings: Those of them that decide what is trained, as plain values.
        parse: Parses these options with others after them, and refuses what is wrong in one line.
    """

    options: Sequence[str]
    config: dict[str, Any]
    settings: dict[str, Any]
    parse: Callable[[Sequence[str]], object]

    def without(self, *names: str) -> list[str]:
        """Leave the command's own options out.

        Args:
            *names: Their names.

        Returns:
            The others, which are those of the trainings.
        """
        options = [*self.options]
        for name in names:
            options = without(options, f"--{name}")
        return options

    def not_validated(self, data: ImageDataModule) -> str | None:
        """Say why the trainings won't have scores of validation images.

        Args:
            data: The data.

        Returns:
            A clause without a full stop; None if they will have some.
        """
        names = ("limit_val_batches", "check_val_every_n_epoch", "max_epochs")
        limit, every, epochs = (self.config.get(f"trainer.{name}") for name in names)
        return data.not_validated or why_not_validated(limit, every, epochs) or None


def settings_of(config: Namespace) -> dict[str, Any]:
    """List what decides how a network is trained, as plain values, to compare it with what it was earlier.

    Args:
        config: The config of a command that starts trainings, as it was written: a variable of the environment, such
            as the place of a job's own disk, may have another value each time.

    Returns:
        Values by dotted key: the seed, and all options in sections; a class with its arguments is one value, but for
        that of the data.
    """
    sections = {key: value for key, value in vars(config).items() if isinstance(value, Namespace)}
    found = {"seed_everything": config.get("seed_everything"), **dict(_flat(sections))}
    plain: dict[str, Any] = json.loads(json.dumps(found, default=_plain))
    return plain


def _flat(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        key = f"{prefix}{name}"
        if isinstance(value, Namespace) and ("class_path" not in value or key == "data"):
            yield from _flat(vars(value), f"{key}.".replace(".init_args.", "."))
        else:
            yield key, value


def _plain(value: object) -> Any:
    return vars(value) if isinstance(value, Namespace) else str(value)
