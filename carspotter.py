"""Carspotter for programs (``import carspotter``), and the commands ``carspotter`` and ``python -m carspotter``."""

from collections.abc import Sequence

from datamodules import (
    ImageDataModule,
    ImageFolderDataModule,
    StanfordCarsDataModule,
    StreamingDataModule,
    ToyCarsDataModule,
)
from lightning_modules import ImageClassifier

load = ImageClassifier.load

__all__ = [
    "ImageClassifier",
    "ImageDataModule",
    "ImageFolderDataModule",
    "StanfordCarsDataModule",
    "StreamingDataModule",
    "ToyCarsDataModule",
    "load",
    "main",
]


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line, as ``train.py`` does.

    Args:
        args: Arguments, for calls from Python; None takes those of the process.
    """
    from command_line import main as run  # with parser, figures and loggers, for which a program needn't wait

    run(args)


if __name__ == "__main__":
    main()
