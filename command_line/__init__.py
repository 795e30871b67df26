"""The command line: parser, commands, and one-line error messages."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

from runs.commands import program

__all__ = ["main"]

_NEEDED = ("torch", "torchvision", "lightning", "torchmetrics", "albumentations", "jsonargparse", "tensorboard")
_ALL = "command_line.run_command"


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        args: Arguments, for calls from Python; None takes those of the process.

    Raises:
        SystemExit: With code 1 or 2, after one line on what to correct, if the user made a mistake.
    """
    from command_line.arguments.options import command_first
    from command_line.help.quick_answers import answer

    if answer(command_first([str(argument) for argument in (sys.argv[1:] if args is None else args)])):
        return
    if _ALL not in sys.modules:
        _import_all()
    import_module(_ALL).run_command(args)


def _import_all() -> None:
    """Import PyTorch and everything else that help doesn't need.

    Garbage collection would take a quarter of that time. Modules live as long as the process, so later collections skip
    them too.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        import_module(_ALL)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        sys.exit(
            f"{program()}: error: {error.name} isn't installed for {sys.executable}: activate the environment that "
            "has it (. .venv/bin/activate after make demo), or install this project (pip install -e .)."
        )
    finally:
        if collects:
            gc.enable()
    gc.freeze()
