"""A parser that answers a mistake with one line."""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from lightning.pytorch.cli import LightningArgumentParser

from command_line.missing_package import missing_package
from command_line.strict_yaml import MODE, RepeatedKeyError
from command_line.trusted_classes import TRUSTED, untrusted_names
from runs.suggestions import did_you_mean

_SWITCH = "--trusted_only"

# What a message about nested types says besides the mistake itself.
_NOISE = re.compile(
    r"^(- )?(Does not validate against any of|Subtypes:|Errors:|Given value|Expected a <class 'NoneType'>)"
)
_NAME = re.compile(r"(?:[Oo]ption '|unrecognized arguments: --|invalid choice: ')([\w.+-]+)")
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

    def parse_args(self, args: Any = None, *others: Any, **kwargs: Any) -> Any:
        """Parse a command line; a config that is no YAML is named, which jsonargparse's message leaves out.

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
        for path in _config_files(args):
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError) as error:
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

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line, with the nearest valid name if there is one, and exit with code 2.

        Args:
            message: What is wrong, perhaps in many lines.
            ex: The exception behind it.
        """
        missing = missing_package(ex)
        line = str(missing) if missing else f"{one_line(message)}.{self._suggest(message)}"
        sys.stderr.write(f"train.py: error: {line}\n")
        sys.exit(2)

    def _suggest(self, message: str) -> str:
        missing_class = _CLASS.search(message)
        if missing_class:
            members = vars(sys.modules.get(missing_class[1], object))
            return did_you_mean(missing_class[2], [name for name in members if isinstance(members[name], type)])
        name = _NAME.search(message)
        return did_you_mean(name[1], _known_names(self)) if name else ""


def _config_files(args: Sequence[str]) -> Iterator[Path]:
    for position, argument in enumerate(args):
        name, _, value = argument.partition("=")
        if name in ("--config", "-c"):
            path = Path(value or next(iter(args[position + 1 :]), ""))
            if path.is_file():
                yield path


def one_line(message: str) -> str:
    """Reduce a message to what the user can mend.

    Args:
        message: A message of jsonargparse, perhaps in many lines.

    Returns:
        One line without a full stop.
    """
    lines = [line.strip() for line in message.splitlines()]
    kept = [line.removeprefix("- ") for line in lines if line and not _NOISE.match(line)]
    return " ".join(dict.fromkeys(kept)).rstrip(". ")


def _known_names(parser: argparse.ArgumentParser) -> set[str]:
    """Collect the options of a parser, its subcommands and the classes that are its defaults."""
    names: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                names |= {name, *_known_names(child)}
        elif action.dest != argparse.SUPPRESS and not action.dest.endswith(".help"):
            names.add(action.dest)
            default = action.default
            if isinstance(default, dict):
                names |= {f"{action.dest}.{key}" for key in default.get("init_args", {})}
    return names
