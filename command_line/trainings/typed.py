"""What was typed for a command that starts others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from callbacks.monitors import why_not_validated
from command_line.arguments.options import without
from datamodules import ImageDataModule


@dataclass(frozen=True)
class Typed:
    """The options of a command that starts trainings.

    Attributes:
        options: The options as they were typed.
        config: What they come down to, flat: values by dotted key.
        parse: Parses these options with others after them, and refuses what is wrong in one line.
    """

    options: Sequence[str]
    config: dict[str, Any]
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
