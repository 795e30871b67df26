"""Stores the parsers' help texts and options, for ``quick_answers`` and for editors.

python -m command_line.help.stored_help

Run it when an option or its description has changed (``make help-texts``).
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn, get_type_hints
from unittest.mock import patch

from command_line.arguments.other_names import COMMANDS
from command_line.arguments.request import WORDS
from command_line.help.option_help import SCHEMA, TEXTS, all_options, data_help
from command_line.help.quick_answers import OVERVIEW, PROGRAM, SHORT
from command_line.help.schema import fit_schema
from command_line.help.short_help import overview, short_help
from command_line.parsing import strict_parser
from command_line.parsing.simple_values import kind_of
from command_line.run_command import run_command
from datamodules import ImageDataModule
from runs.commands import program

_WIDTH = "100"  # characters of a line
_LONG = 60  # lines, above which help has a short form


def texts() -> Iterator[tuple[str, str]]:
    """Collect all help texts, and the options of each command, from the parsers.

    Yields:
        Names of files without their suffix, and their content.
    """
    os.environ["COLUMNS"], sys.argv[0] = _WIDTH, "train.py"
    yield OVERVIEW, overview()
    for name in COMMANDS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            run_command([name, "--help"])
        text = printed.getvalue().replace(program(), PROGRAM)
        yield name, text + (data_help() if "--data.help" in text else "")
        parser = _parser(name)
        yield f"{name}-options", _options(parser)
        if text.count("\n") > _LONG:
            yield f"{name}{SHORT}", short_help(name, WORDS.get(name, ""), _own_options(parser))


def schema() -> str:
    """Describe the options of ``fit`` for editors.

    Returns:
        JSON.
    """
    return json.dumps(fit_schema(_parser("fit")), indent=1, ensure_ascii=False) + "\n"


def _parser(command: str) -> Any:
    """Take a command's parser from the command line, which builds it alone, and before it parses."""
    found: list[Any] = []

    def note(parser: strict_parser.StrictParser, *_: Any) -> NoReturn:
        found.append(strict_parser.commands_of(parser)[command])
        sys.exit()

    with patch.object(strict_parser.StrictParser, "parse_args", note), contextlib.suppress(SystemExit):
        run_command([command])
    return found[-1]


def _options(parser: Any) -> str:
    """List a command's options, a line each, with the kinds of their values: those of the data, whatever its class."""
    kinds = {action.dest: kind_of(action._typehint) for action in parser._actions if hasattr(action, "_typehint")}
    kinds |= {f"data.{name}": kind_of(hint) for name, hint in get_type_hints(ImageDataModule.__init__).items()}
    names = sorted(strict_parser.known_names(parser))
    return "".join(f"{name} {kinds.get(name, '')}".rstrip() + "\n" for name in names)


def _own_options(parser: Any) -> dict[str, str]:
    """List what a command takes beside what ``fit`` takes, with its description and its default."""
    known = {*all_options(), "data", "config", "ckpt_path", "weights_only"}
    return {
        action.dest: " ".join((action.help or "").split()) + _default(action.default)
        for action in parser._actions
        if hasattr(action, "_typehint") and "." not in action.dest and action.dest not in known
    }


def _default(value: Any) -> str:
    """Name a default, unless it is null, which the description explains."""
    return "" if value is None else f" (default: {value if isinstance(value, str) else json.dumps(value)})"


def main() -> None:
    """Store the texts."""
    TEXTS.mkdir(exist_ok=True)
    SCHEMA.write_text(schema(), encoding="utf-8")  # from which the others are made
    for name, text in texts():
        (TEXTS / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
