"""The command ``completion``: a script with which a shell completes commands, options and values."""

import argparse
import re

from command_line.arguments.other_names import COMMANDS
from command_line.help.option_help import all_options, options_of
from command_line.help.short_help import purpose_of

SHELLS = ("bash", "zsh", "tcsh")
PROGRAM = "carspotter"
_TRUTHS = ("true", "false")


def completion(shell: str) -> str:
    """Write the script for a shell, from the stored names of all options.

    Args:
        shell: ``bash``, ``zsh`` or ``tcsh``.

    Returns:
        The script, to be evaluated when the shell starts.

    Raises:
        ImportError: If shtab isn't installed.
    """
    import shtab

    parser = argparse.ArgumentParser(prog=PROGRAM, add_help=False)
    commands = parser.add_subparsers()
    described = all_options()
    for name in COMMANDS:
        command = commands.add_parser(name, help=purpose_of(name), add_help=False)
        _complete_files(command.add_argument("words", nargs="*", help="run, data set or photographs"))
        _complete_files(command.add_argument("--config", help="file with options"))
        for option, kind in options_of(name).items():
            if option == "config":
                continue
            text = _brief(described.get(option, {}).get("description", ""))
            added = command.add_argument(f"--{option}", choices=_choices(kind), help=text)
            if added.choices is None and not kind:
                _complete_files(added)
    commands.add_parser("completion", help="print such a script", add_help=False).add_argument("shell", choices=SHELLS)
    return str(shtab.complete(parser, shell=shell))


def _complete_files(argument: argparse.Action) -> None:
    import shtab

    argument.complete = shtab.FILE  # type: ignore[attr-defined]


def _choices(kind: str) -> tuple[str, ...] | None:
    """Read the values of an option that has only a few."""
    words = re.findall(r"'([^']*)'", kind)
    if words and "|" not in kind:
        return tuple(words)
    return _TRUTHS if kind.rstrip("?") == "bool" else None


def _brief(description: str) -> str:
    """Take the first sentence, without what means something to shells."""
    first = re.split(r"(?<=[.;])\s", description.replace("`", "").replace("%", "%%"), maxsplit=1)[0]
    return re.sub(r"[\[\]\"'$:\\]", "", first.rstrip(".;"))[:100]
