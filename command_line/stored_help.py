"""Asks the parsers for what ``quick_answers`` answers with, and stores it.

python -m command_line.stored_help

To be called when an option or its description has changed (``make help-texts``).
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, get_type_hints
from unittest.mock import patch

from command_line import strict_parser
from command_line.other_names import COMMANDS
from command_line.quick_answers import OVERVIEW, PROGRAM, TEXTS
from command_line.run_command import run_command
from command_line.simple_values import kind_of
from datamodules import ImageDataModule
from runs.commands import program

_WIDTH = "100"  # characters of a line


def texts() -> Iterator[tuple[str, str]]:
    """Ask the parsers for all help texts, and for the options of each command.

    Yields:
        Names of files without their suffix, and their content.
    """
    os.environ["COLUMNS"], sys.argv[0] = _WIDTH, "train.py"
    kinds = _kinds()
    for name in (OVERVIEW, *COMMANDS):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            run_command([*([] if name == OVERVIEW else [name]), "--help"])
        yield name, printed.getvalue().replace(program(), PROGRAM)
        if name != OVERVIEW:
            lines = (f"{option} {kinds[name].get(option, '')}".rstrip() for option in sorted(_names(name)))
            yield f"{name}-options", "\n".join(lines) + "\n"


def _names(command: str) -> set[str]:
    """Take the names of a command's options from the parser that refuses one."""
    found: list[set[str]] = []

    def note(_: str, known: Iterable[str]) -> str:
        found.append(set(known))
        return ""

    with (
        patch.object(strict_parser, "did_you_mean", note),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(SystemExit),
    ):
        run_command([command, "--qqqqqqqq=1"])
    return found[-1]


def _kinds() -> dict[str, dict[str, str]]:
    """Describe the values of each command's options: those of the data, whatever its class, and those of all else."""
    parsers: dict[str, Any] = {}

    def note(parser: strict_parser.StrictParser, *_: Any) -> NoReturn:
        parsers.update(strict_parser.commands_of(parser))
        sys.exit()

    with patch.object(strict_parser.StrictParser, "parse_args", note), contextlib.suppress(SystemExit):
        run_command(["fit"])
    hints = get_type_hints(ImageDataModule.__init__)
    data = {f"data.{name}": kind_of(hint) for name, hint in hints.items()}
    return {
        command: {action.dest: kind_of(action._typehint) for action in parser._actions if hasattr(action, "_typehint")}
        | data
        for command, parser in parsers.items()
    }


def main() -> None:
    """Store the texts."""
    TEXTS.mkdir(exist_ok=True)
    for name, text in texts():
        (TEXTS / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
