"""Carspotter for programs (``import carspotter``), and the commands ``carspotter`` and ``python -m carspotter``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datamodules import (
    ImageDataModule,
    ImageFolderDataModule,
    StanfordCarsDataModule,
    StreamingDataModule,
    ToyCarsDataModule,
)
from datamodules.remote.storage import is_remote
from lightning_modules import ImageClassifier
from runs.remote_file import is_url

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


def load(
    source: str | Path, which: Literal["best", "last"] = "best", eval_scale: float | None = None
) -> ImageClassifier:
    """Load a trained classifier for use, without running any code that a checkpoint may hold.

    Args:
        source: As that of ``ImageClassifier.load``, or a run or a checkpoint in object storage (``s3://bucket/...``),
            of which a copy is kept in the user's cache.
        which: The checkpoint of a run's folder.
        eval_scale: Side of evaluated images as a multiple of the training size; None keeps that of the run.

    Returns:
        The classifier on the CPU, in evaluation mode, with the precision of the run.

    Raises:
        MisconfigurationException: If there is no such checkpoint, it can't be read, or the scale makes no sense.
    """
    if is_remote(str(source)) and not is_url(str(source)):
        from command_line.remote_runs.places import fetched  # with fsspec, which a local run doesn't need

        source = fetched(str(source))
    return ImageClassifier.load(source, which, eval_scale)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line, as ``train.py`` does.

    Args:
        args: Arguments, for calls from Python; None takes those of the process.
    """
    from command_line import main as run  # with parser, figures and loggers, for which a program needn't wait

    run(args)


if __name__ == "__main__":
    main()
