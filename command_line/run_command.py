"""What happens from the arguments to the exit code."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack

import torch

from command_line.arguments.options import command_first
from command_line.arguments.request import read_request
from command_line.classifier_cli import ClassifierCLI
from command_line.commands import Commands
from command_line.console import mistakes_in_one_line, quieten
from command_line.defaults import TRAINER_DEFAULTS
from command_line.encoding import print_any_text, restart_in_utf8
from command_line.hardware.torch_settings import restored_settings
from command_line.parsing.strict_parser import StrictParser
from datamodules import ImageDataModule
from lightning_modules import ImageClassifier
from runs.commands import note_typed


def run_command(args: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        args: Arguments, for calls from Python; None takes those of the process.

    Raises:
        SystemExit: With code 1 or 2, after one line on what to correct, if the user made a mistake.
    """
    if args is None:
        restart_in_utf8()
    print_any_text()
    quieten()
    with mistakes_in_one_line(), restored_settings(), ExitStack() as afterwards:
        typed = command_first([str(argument) for argument in (sys.argv[1:] if args is None else args)])
        note_typed(typed)
        ClassifierCLI(
            ImageClassifier,
            ImageDataModule,
            request=read_request(typed, afterwards),
            trainer_class=Commands,
            subclass_mode_data=True,
            save_config_callback=None,  # RunConfig takes its place
            seed_everything_default=42,
            trainer_defaults=TRAINER_DEFAULTS,
            parser_class=StrictParser,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # gloo's threads sometimes abort an exit without it
