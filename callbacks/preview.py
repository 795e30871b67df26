"""Shows what the network sees: originals beside their augmented views."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from callbacks.run_folder import run_folder, write_figure

Row: TypeAlias = tuple[str, npt.NDArray[np.uint8], list[npt.NDArray[np.uint8]]]


@runtime_checkable
class PreviewingDataModule(Protocol):
    """A data module that can show its augmentation."""

    def preview(self, images: int, views: int) -> list[Row]:
        """Return class name, original and views of each image."""


class Preview(Callback):
    """Draws training images and their augmented views into TensorBoard and ``preview.png`` when a run starts.

    Args:
        enabled: Off switch.
        images: Number of images.
        views: Number of views of each.
    """

    def __init__(self, enabled: bool = True, images: int = 6, views: int = 5) -> None:
        self.enabled = enabled
        self.images = images
        self.views = views

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        folder = run_folder(trainer)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        wanted = self.enabled and trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]
        if not wanted or not isinstance(data, PreviewingDataModule):
            return
        figure = preview_figure(data.preview(self.images, self.views))
        write_figure(folder / "preview.png", figure)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure("preview", figure, global_step=trainer.global_step, close=False)


def preview_figure(rows: Sequence[Row]) -> Figure:
    """Draw a grid: a row for each image, the original first.

    Args:
        rows: Class name, original and views of each image; pictures are uint8 of shape (height, width, 3), RGB.

    Returns:
        The figure. It belongs to no window and need not be closed.
    """
    columns = 1 + len(rows[0][2])
    figure = Figure(figsize=(2.1 * columns, 2.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, original, views) in zip(grid, rows, strict=True):
        for axes, picture in zip(line, (original, *views), strict=True):
            axes.imshow(picture)
            axes.set_axis_off()
        line[0].set_title(name, fontsize=8, loc="left")
        line[1].set_title(f"{views[0].shape[1]} x {views[0].shape[0]}", fontsize=8, color="gray")
    return figure
