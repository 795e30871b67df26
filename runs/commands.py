"""Commands that continue a run, as a user can paste them."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from runs.copies import url_of

_SCRIPT, _INSTALLED = "train.py", "carspotter"
_typed: list[str] = []


def program() -> str:
    """Name this program as it was started.

    Returns:
        ``train.py`` where that was called, else ``carspotter``, which any program may call.
    """
    return _SCRIPT if Path(sys.argv[0]).name == _SCRIPT else _INSTALLED


def note_typed(arguments: Sequence[str]) -> None:
    """Remember the command that this process runs, which a program may have called.

    Args:
        arguments: What follows the program's name.
    """
    _typed[:] = arguments


def typed_command() -> str:
    """Write the command that this process runs.

    Returns:
        The command, quoted for a POSIX shell; of a program that calls Lightning by itself, how it was started.
    """
    return shlex.join([program(), *_typed] if _typed else [Path(sys.argv[0]).name, *sys.argv[1:]])


def shown(path: Path) -> Path:
    """Shorten a path for the reader.

    Args:
        path: A file or folder.

    Returns:
        The path relative to the working directory where it lies below it, else the path itself.
    """
    here = Path.cwd()
    return path.absolute().relative_to(here) if path.absolute().is_relative_to(here) else path


def address(path: Path) -> str:
    """Say where a file or a folder is, for the reader.

    Args:
        path: The file or folder.

    Returns:
        Its URL, if it is the copy of one in object storage, else the path as ``shown`` shortens it.
    """
    return url_of(path) or str(shown(path))


def next_command(subcommand: str, run: Path) -> str:
    """Write the command that continues a run.

    Args:
        subcommand: ``fit``, ``test`` and so on.
        run: The folder of the run.

    Returns:
        The command, quoted for a POSIX shell.
    """
    start = program()
    if start == _SCRIPT:
        start = f"python {start}"
    elif Path(sys.argv[0]).name == f"{_INSTALLED}.py":
        start = f"python -m {start}"
    return f"{start} {subcommand} {shlex.quote(address(run))}"
