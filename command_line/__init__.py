"""What is typed: parser, commands, and one line for a mistake."""

from command_line.main import main

__all__ = ["main"]
