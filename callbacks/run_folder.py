"""Finds the folder of a run's files."""

from pathlib import Path

from lightning import Trainer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.figures.figure_file import write_figure
from runs.naming import endings


def run_folder(trainer: Trainer) -> Path:
    """Find the folder that a command writes to: that of a run, or of an evaluation.

    It has to be called on all devices alike, since the first one, which has made the folder, tells the others.

    Args:
        trainer: The trainer. One of the command line knows the folder; any other writes where its logger does.

    Returns:
        The folder, which may not exist yet.
    """
    folder = getattr(trainer, "folder", None) or trainer.log_dir or trainer.default_root_dir
    return Path(trainer.strategy.broadcast(str(folder)))


def report_figure(trainer: Trainer, name: str, figure: Figure, text: str) -> None:
    """Show what a search has found: a figure beside the runs, and a line on the console.

    Args:
        trainer: The trainer.
        name: Name of the figure, without suffix; it gets a number where a file has it.
        figure: The figure.
        text: What to print.
    """
    folder = run_folder(trainer)
    if not trainer.is_global_zero:
        return
    FigureCanvasAgg(figure)
    paths = (folder / f"{name}{ending}.png" for ending in endings())
    path = next(path for path in paths if not path.exists())
    write_figure(path, figure)
    print(f"\n{text}\ncurve: {path}", flush=True)  # noqa: T201 - the result
