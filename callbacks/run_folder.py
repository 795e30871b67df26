"""Where the files of a run go, and how they get there whole."""

import io
import os
import tempfile
from pathlib import Path

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def run_folder(trainer: Trainer) -> Path:
    """Find the folder of a run: the logger's, or without a logger the trainer's root.

    It has to be called on all devices alike, since the first one tells the others.

    Args:
        trainer: The trainer.

    Returns:
        The folder, which may not exist yet.
    """
    return Path(trainer.log_dir or trainer.default_root_dir)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name and rename it, so that an interruption leaves the old one whole.

    Args:
        path: The file; its folder is made if need be.
        content: Text, which becomes UTF-8 (but for names of files that aren't), or bytes.

    Raises:
        MisconfigurationException: If the folder can't be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
            Path(draft).chmod(0o644)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MisconfigurationException(f"Can't write {path}: {error.strerror}.") from error


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all.

    Args:
        path: The file.
        figure: The figure.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomically(path, picture.getvalue())


def report_figure(trainer: Trainer, name: str, figure: Figure, text: str) -> None:
    """Show what a search has found: a figure in TensorBoard and in the run's folder, and a line on the console.

    Args:
        trainer: The trainer.
        name: Name of the figure, without suffix.
        figure: The figure.
        text: What to print.
    """
    folder = run_folder(trainer)
    if not trainer.is_global_zero:
        return
    FigureCanvasAgg(figure)
    write_figure(folder / f"{name}.png", figure)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(name, figure, close=False)
            logger.save()
    print(f"\n{text}\ncurve: {folder / name}.png and TensorBoard, images", flush=True)  # noqa: T201 - the result
