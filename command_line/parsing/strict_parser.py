"""A parser that answers a mistake with one line."""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from command_line.arguments.config_names import SUFFIXES, config_meant
from command_line.arguments.options import CONFIG, has_value
from command_line.arguments.other_names import command_meant, option_meant
from command_line.parsing.missing_package import missing_package
from command_line.parsing.strict_yaml import MODE, RepeatedKeyError
from command_line.parsing.type_errors import FRAME, in_plain_words
from command_line.trusted_classes import TRUSTED, untrusted_names
from runs.commands import program
from runs.suggestions import did_you_mean

_SWITCH = "--trusted_only"
_LONGEST = 1000  # characters of a message, which may quote a whole table that was taken for a config

# What a message about nested types says besides the mistake itself.
_NOISE = re.compile(rf"^(- )?({FRAME}|Given value|Expected a <class 'NoneType'>)")
_NAME = re.compile(r"(?:[Oo]ption '|unrecognized arguments: --?)([\w.+-]+)")
_SECTION = re.compile(
    r'^Parser key "(\w+)":(?!.* subclass of ).*?(?:Unable to load config|Expected a path|Unexpected import path)'
)
_COMMAND = re.compile(r"argument subcommand: invalid choice: '(.*?)'|^expected \"subcommand\" to be one of")
_CLASS = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")


class StrictParser(LightningArgumentParser):
    """Lightning's parser without abbreviated options and without a page of usage before each error.

    Args:
        *args: Arguments of ``LightningArgumentParser``.
        **kwargs: Arguments of ``LightningArgumentParser``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["allow_abbrev"] = False  # else --trainer.max_epoch would pass for max_epochs
        super().__init__(*args, **{**kwargs, "parser_mode": MODE})
        self.typed: list[str] = []

    def parse_args(self, args: Any = None, *others: Any, **kwargs: Any) -> Any:
        """Parse a command line; a config that isn't YAML is named, which jsonargparse's message leaves out.

        With ``--trusted_only`` nothing is imported that isn't this project's or one of the libraries it names.

        Args:
            args: The arguments; None takes those of the process.
            *others: Arguments of ``ArgumentParser.parse_args``.
            **kwargs: Arguments of ``ArgumentParser.parse_args``.

        Returns:
            The parsed config.
        """
        args = list(sys.argv[1:] if args is None else args)
        if _SWITCH in args:
            args.remove(_SWITCH)
            for name in untrusted_names(args):
                self.error(f"{_SWITCH} refuses {name}: configs may name classes of {', '.join(sorted(TRUSTED))} only")
        self.typed = args
        commands = commands_of(self)
        known = not args or not commands or args[0] in commands or args[0].startswith("-")
        for value in _configs(args) if known else ():
            path = Path(value)
            if not path.exists():
                meant = config_meant(value)
                self.error(f"there is no config file {value}", suggestion=f" Did you mean '{meant}'?" if meant else "")
            if not path.is_file():
                continue
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except OSError as error:
                self.error(f"can't read {path}: {error.strerror}. Make it readable, or choose another")
            except (yaml.YAMLError, ValueError) as error:  # of bytes that are no text, or of a day that there isn't
                self.error(f"{path} is no YAML: {str(error).replace('<unicode string>', path.name)}")
            if content is not None and not isinstance(content, dict):
                self.error(
                    f"{path} holds a {type(content).__name__} where options are expected, each a line 'name: value'"
                )
        try:
            return super().parse_args(args, *others, **kwargs)
        except RepeatedKeyError as error:
            self.error(str(error))

    def validate(self, namespace: Any, *others: Any, **kwargs: Any) -> None:
        """Check values against their types; also null, which jsonargparse takes for a value that wasn't given.

        Args:
            namespace: The values.
            *others: Arguments of ``ArgumentParser.validate``.
            **kwargs: Arguments of ``ArgumentParser.validate``.
        """
        super().validate(namespace, *others, **kwargs)
        for action in self._actions:
            given = action.dest in namespace and namespace[action.dest] is None
            if given and action.default is not None and action.dest != argparse.SUPPRESS:
                self._check_value_key(action, None, action.dest, namespace)

    def error(self, message: str, ex: Exception | None = None, suggestion: str | None = None) -> NoReturn:
        """Print one line, with the nearest valid name if there is one, and exit with code 2.

        Args:
            message: What is wrong, perhaps in many lines.
            ex: The exception behind it.
            suggestion: What may have been meant, as a sentence with a leading space; None looks for it.
        """
        missing = missing_package(ex)
        hint = self._suggest(message) if suggestion is None else suggestion
        said = one_line(in_plain_words(message))
        sys.stderr.write(f"{program()}: error: {missing or f'{said}.{hint}'}\n")
        sys.exit(2)

    def _suggest(self, message: str) -> str:
        missing_class = _CLASS.search(message)
        if missing_class:
            members = vars(sys.modules.get(missing_class[1], object))
            return did_you_mean(missing_class[2], [name for name in members if isinstance(members[name], type)])
        commands = commands_of(self)
        command = _COMMAND.search(message)
        if command and commands and self.typed:
            return _suggest_command(command[1] or "", self.typed, list(commands))
        known = known_names(next((commands[word] for word in self.typed[:1] if word in commands), self))
        section = _SECTION.search(one_line(message))
        if section:
            switch = f"{section[1]}.enabled"
            meant = switch if switch in known else option_meant(section[1], known - {section[1]})
            return f" Did you mean {meant!r}?" if meant else ""
        name = _NAME.search(message)
        if not name:
            return ""
        meant = option_meant(name[1], known)
        return f" Did you mean {meant!r}?" if meant else did_you_mean(name[1], known)


def _suggest_command(word: str, typed: Sequence[str], commands: list[str]) -> str:
    if typed[0].startswith("-"):
        return f" Put the command before its options, as in: {program()} {commands[0]} {typed[0]} ..."
    config = config_meant(word) if word.endswith(SUFFIXES) else None
    if config:
        return f" Did you mean '{commands[0]} --config {config}'?"
    meant = command_meant(word)
    return f" Did you mean {meant!r}?" if meant in commands else did_you_mean(word, commands)


def _configs(args: Sequence[str]) -> Iterator[str]:
    """Find what ``--config`` names, but for configs that are typed as text, and URLs."""
    for position, argument in enumerate(args):
        name, _, value = argument.partition("=")
        if name in CONFIG:
            value = value or (args[position + 1] if has_value(args, position) else "")
            if value and ":" not in value:
                yield value


def one_line(message: str) -> str:
    """Reduce a message to what the user can correct.

    Args:
        message: A message of jsonargparse, perhaps in many lines.

    Returns:
        One line without a full stop.
    """
    lines = [line.strip() for line in message.splitlines()]
    kept = [line.removeprefix("- ") for line in lines if line and not _NOISE.match(line)]
    line = " ".join(dict.fromkeys(kept)).rstrip(". ")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Find the parsers of commands.

    Args:
        parser: The whole command line's.

    Returns:
        The parsers by command; nothing if there are none.
    """
    found = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(next(found, {}))


def known_names(parser: argparse.ArgumentParser) -> set[str]:
    """Collect the options of a parser, and of the classes that are its defaults.

    Args:
        parser: A command's, or the whole command line's.

    Returns:
        Their names, without dashes.
    """
    names: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.dest == argparse.SUPPRESS:
            continue
        if not action.dest.endswith("help"):
            names.add(action.dest)
        if isinstance(action.default, dict | Namespace):
            given = action.default.get("init_args", {})
            names |= {
                f"{action.dest}.{key}" for key in (*given.keys(), *_arguments(action.default.get("class_path", "")))
            }
    return names


def _arguments(class_path: str) -> set[str]:
    """List the arguments of a class, and those that it passes on to the classes it derives from."""
    module, _, name = class_path.rpartition(".")
    kind = getattr(sys.modules.get(module), name, object)
    found = {key for base in kind.__mro__ if "__init__" in vars(base) for key in inspect.signature(base).parameters}
    return found - {"args", "kwargs", "options"}
