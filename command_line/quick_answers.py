"""Answers help and mistyped commands from what is stored beside the code, before PyTorch is imported.

python -m command_line.quick_answers

Without arguments of its own it asks the parsers for all help texts, and stores them; to be called when an option or its
description has changed (``make help-texts``).
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from command_line.config_names import SUFFIXES
from command_line.encoding import print_any_text
from command_line.other_names import COMMANDS, command_meant
from runs.commands import program
from runs.suggestions import did_you_mean

TEXTS = Path(__file__).parent / "help"
WIDTH = "100"  # characters of a line
_OVERVIEW = "overview"
_HELP = ("-h", "--help")
_PROGRAM = "{program}"


def answer(arguments: list[str]) -> bool:
    """Answer a request for help, or a command that there isn't.

    Args:
        arguments: What follows ``train.py``.

    Returns:
        Whether it was one; else nothing has happened.

    Raises:
        SystemExit: After the answer, as the parser does it: with code 0 after help, 2 after a mistake.
    """
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first in _HELP:
        _print(_OVERVIEW)
    if first in COMMANDS and len(rest) == 1 and rest[0] in _HELP:
        _print(first)
    if not first or first.startswith("-") or first in COMMANDS or first.endswith(SUFFIXES):
        return False
    meant = command_meant(first)
    hint = f" Did you mean {meant!r}?" if meant in COMMANDS else did_you_mean(first, COMMANDS)
    choices = ", ".join(map(repr, COMMANDS))
    sys.stderr.write(
        f"{program()}: error: argument subcommand: invalid choice: {first!r} (choose from {choices}).{hint}\n"
    )
    sys.exit(2)


def _print(name: str) -> None:
    file = TEXTS / f"{name}.txt"
    if file.exists():
        print_any_text()
        sys.stdout.write(file.read_text(encoding="utf-8").replace(_PROGRAM, program()))
        sys.exit(0)


def texts() -> Iterator[tuple[str, str]]:
    """Ask the parsers for all help texts.

    Yields:
        Names of files without their suffix, and their content.
    """
    from command_line.run_command import run_command

    os.environ["COLUMNS"], sys.argv[0] = WIDTH, "train.py"
    for name in (_OVERVIEW, *COMMANDS):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            run_command([*([] if name == _OVERVIEW else [name]), "--help"])
        yield name, printed.getvalue().replace(program(), _PROGRAM)


def main() -> None:
    """Store the help texts."""
    TEXTS.mkdir(exist_ok=True)
    for name, text in texts():
        (TEXTS / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
