"""What is typed: parser, commands, and one line for a mistake."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


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
    from command_line.run_command import run_command  # imports PyTorch, for which help needn't wait

    run_command(args)
