"""Answers help and mistyped commands from what is stored beside the code, before PyTorch is imported.

python -m command_line.quick_answers

Without arguments of its own it asks the parsers for all help texts, and stores them; to be called when an option or its
description has changed (``make help-texts``).
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from command_line.config_names import SUFFIXES
from command_line.encoding import print_any_text
from command_line.other_names import COMMANDS, command_meant, option_meant
from runs.commands import program
from runs.suggestions import did_you_mean

TEXTS = Path(__file__).parent / "help"
WIDTH = "100"  # characters of a line
_OVERVIEW = "overview"
_HELP = ("-h", "--help")
_PROGRAM = "{program}"
_OPEN = ("data", "config", "print_config", "trusted_only", "help")  # what follows depends on a class, or on the parser
_CLASSES = tuple(
    f"trainer.{name}" for name in ("callbacks", "logger", "strategy", "plugins", "profiler", "accelerator", "precision")
)


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
    if first in COMMANDS:
        unknown = unknown_option(rest, _options_of(first))
        if unknown:
            _refuse(f"unrecognized arguments: {' '.join(unknown)}.{_option_meant(unknown[0], _options_of(first))}")
    if not first or first.startswith("-") or first in COMMANDS or first.endswith(SUFFIXES):
        return False
    meant = command_meant(first)
    hint = f" Did you mean {meant!r}?" if meant in COMMANDS else did_you_mean(first, COMMANDS)
    choices = ", ".join(map(repr, COMMANDS))
    return _refuse(f"argument subcommand: invalid choice: {first!r} (choose from {choices}).{hint}")


def unknown_option(arguments: list[str], known: set[str]) -> list[str]:
    """Find an option that there isn't, whatever the configs and classes.

    Args:
        arguments: What follows the command.
        known: Names of its options.

    Returns:
        The option, and what follows it up to the next one; nothing if all may be right, or the parser has to look at
        more than names.
    """
    if not arguments or not arguments[0].startswith("--"):
        return []
    starts = [position for position, argument in enumerate(arguments) if argument.startswith("-")]
    options = [arguments[start:end] for start, end in zip(starts, [*starts[1:], len(arguments)], strict=True)]
    unknown = [option for option in options if _is_unknown(option[0], known)]
    plain = all(option[0].startswith("--") and len(option) <= 2 for option in options)
    return unknown[0] if len(unknown) == 1 and plain else []


def _is_unknown(option: str, known: set[str]) -> bool:
    name = option.partition("=")[0].removeprefix("--").rstrip("+")
    section, dot, _ = name.partition(".")
    if not known or name in known or section in _OPEN or name.startswith(_CLASSES) or name.endswith(".help"):
        return False
    parent = name.rpartition(".")[0]
    return not dot or (parent in known and any(other.startswith(f"{parent}.") for other in known))


def _option_meant(option: str, known: set[str]) -> str:
    name = re.sub(r"[^\w.+-].*", "", option.removeprefix("--"))
    meant = option_meant(name, known)
    return f" Did you mean {meant!r}?" if meant else did_you_mean(name, known)


def _options_of(command: str) -> set[str]:
    file = TEXTS / f"{command}-options.txt"
    return set(file.read_text(encoding="utf-8").split()) if file.exists() else set()


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"{program()}: error: {message}\n")
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
        if name != _OVERVIEW:
            yield f"{name}-options", "\n".join(sorted(_names(name))) + "\n"


def _names(command: str) -> set[str]:
    """Take the names of a command's options from the parser that refuses one."""
    from unittest.mock import patch

    from command_line import strict_parser
    from command_line.run_command import run_command

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


def main() -> None:
    """Store the help texts."""
    TEXTS.mkdir(exist_ok=True)
    for name, text in texts():
        (TEXTS / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
