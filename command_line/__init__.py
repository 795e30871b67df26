"""What is typed: parser, commands, and one line for a mistake."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

_ALL = "command_line.run_command"


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        args: Arguments, for calls from Python; None takes those of the process.

    Raises:
        SystemExit: With code 1 or 2, after one line on what to mend, if the user made a mistake.
    """
    from command_line.quick_answers import answer

    if answer([str(argument) for argument in (sys.argv[1:] if args is None else args)]):
        return
    if _ALL not in sys.modules:
        _import_all()
    import_module(_ALL).run_command(args)


def _import_all() -> None:
    """Import PyTorch and all else, for which help needn't wait.

    A quarter of that time would go into searches for garbage among modules, which live as long as the process; they
    aren't searched afterwards either.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        import_module(_ALL)
    finally:
        if collects:
            gc.enable()
    gc.freeze()
