"""Answers help and mistyped commands from what is stored beside the code, before PyTorch is imported."""

import re
import sys
from pathlib import Path
from typing import NoReturn

from command_line.arguments.config_names import SUFFIXES, is_config_file
from command_line.arguments.options import command_of
from command_line.arguments.other_names import COMMANDS, command_meant, option_meant
from command_line.encoding import print_any_text
from command_line.help.completion import SHELLS, completion
from command_line.help.option_help import ALL, SWITCHES, TEXTS, all_options, option_help, options_of
from command_line.parsing.simple_values import wrong_values
from runs.commands import program
from runs.suggestions import did_you_mean

OVERVIEW = "overview"
PROGRAM = "{program}"
SHORT = "-short"
_HELP = ("-h", "--help")
_OPEN = ("data", "config", "print_config", "trusted_only", "help")  # what follows depends on a class, or on the parser
_FIRST = ("help", "trusted_only", "data")  # the parser looks at these before other options
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
    first = command_of(first, rest)
    if first in _HELP:
        _print(_text(OVERVIEW, []))
    if first == "completion":
        _print(_completion(rest))
    before_words = rest[: rest.index("--")] if "--" in rest else rest
    place = next((place for place, argument in enumerate(before_words) if argument in _HELP), None)
    if first in COMMANDS and place is not None:  # wherever it stands
        _print(_text(first, _asked(before_words[place + 1 :])))
    if place == 0 and first not in COMMANDS and _is_option(first):  # --help NAME, without a command
        _print(_text("fit", [first]))
    if first in COMMANDS:
        kinds = options_of(first)
        known, options = set(kinds), _plain_options(rest)
        unknown = [option for option in options if _is_unknown(option[0], known)]
        wrong = wrong_values(options, kinds)
        if len(unknown) == 1 and not wrong:
            _refuse(f"unrecognized arguments: {' '.join(unknown[0])}.{_option_meant(unknown[0][0], known)}")
        if len(wrong) == 1 and not unknown:
            _refuse(wrong[0])
    if not first or first.startswith("-") or first in COMMANDS or first.endswith(SUFFIXES):
        return False
    meant = command_meant(first)
    hint = f" Did you mean {meant!r}?" if meant in COMMANDS else did_you_mean(first, COMMANDS)
    choices = ", ".join(map(repr, COMMANDS))
    return _refuse(f"argument subcommand: invalid choice: {first!r} (choose from {choices}).{hint}")


def _asked(following: list[str]) -> list[str]:
    """Find the option that help is asked about: with dashes only where nothing else follows; a path is none."""
    word = following[0] if following else ""
    is_option = len(following) == 1 if word.startswith("-") else not ("/" in word or Path(word).exists())
    return [word] if word and is_option else []


def _is_option(word: str) -> bool:
    """Check whether ``fit`` has such an option, or a section of that name, or the word stands for all options."""
    name = word.lstrip("-")
    return name in (ALL, *SWITCHES) or any(other == name or other.startswith(f"{name}.") for other in all_options())


def _plain_options(arguments: list[str]) -> list[list[str]]:
    """Divide arguments into options, each with its value; nothing if the parser has to look at something else first."""
    if not arguments or not arguments[0].startswith("--"):
        return []
    starts = [position for position, argument in enumerate(arguments) if argument.startswith("-")]
    options = [arguments[start:end] for start, end in zip(starts, [*starts[1:], len(arguments)], strict=True)]
    plain = all(option[0].startswith("--") and len(option) <= 2 for option in options)
    return options if plain and not any(_comes_first(option) for option in options) else []


def _comes_first(option: list[str]) -> bool:
    name, sign, value = option[0].removeprefix("--").partition("=")
    return name in _FIRST or (name == "config" and not is_config_file(value if sign else option[-1]))


def _is_unknown(option: str, known: set[str]) -> bool:
    """Check whether there is no such option, whatever the configs and classes; one that may be right isn't unknown."""
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


def _completion(rest: list[str]) -> str:
    if len(rest) != 1 or rest[0] not in SHELLS:
        _refuse(f"completion takes one of {', '.join(SHELLS)}.")
    try:
        return completion(rest[0])
    except ImportError:
        _refuse("completion needs shtab: pip install 'carspotter[completion]'.")


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"{program()}: error: {message}\n")
    sys.exit(2)


def _text(command: str, asked: list[str]) -> str | None:
    """Find the help for a command, for all its options (``all``), or for one of them."""
    if asked and asked[0] != ALL:
        return option_help(asked[0], command)
    short = TEXTS / f"{command}{SHORT}.txt"
    file = TEXTS / f"{command}.txt" if asked or not short.exists() else short
    return file.read_text(encoding="utf-8") if file.exists() else None


def _print(text: str | None) -> None:
    if text is not None:
        print_any_text()
        sys.stdout.write(text.replace(PROGRAM, program()))
        sys.exit(0)
