"""Shows what the network sees: originals beside their augmented views."""

import io
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from callbacks.run_folder import run_folder
from results.figures.figure_file import encoded_figure
from results.figures.preview_figure import Row, preview_figure
from runs.whole_file import write_atomically


@runtime_checkable
class PreviewingDataModule(Protocol):
    """A data module that can show its augmentation."""

    def preview(self, images: int, views: int) -> list[Row]:
        """Return class name, original and views of each image."""


class Preview(Callback):
    """Draws training images and their augmented views into TensorBoard and ``preview.png`` when a run starts.

    A thread draws while training begins. The first validation, or the end of the run, waits for it, since Matplotlib
    draws one figure at a time.

    Args:
        enabled: Off switch.
        images: Number of images.
        views: Number of views of each.
    """

    def __init__(self, enabled: bool = True, images: int = 6, views: int = 5) -> None:
        for name, value in (("images", images), ("views", views)):
            if value < 1:
                raise MisconfigurationException(
                    f"previews.{name} is {value}: it has to be 1 or more (previews.enabled=false draws none)."
                )
        self.enabled = enabled
        self.images = images
        self.views = views
        self._drawn: Future[bytes] | None = None
        self._step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to draw.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        path = run_folder(trainer) / "preview.png"  # which devices agree upon, so all of them ask
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        wanted = self.enabled and trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]
        if not wanted or not isinstance(data, PreviewingDataModule):
            return
        rows = data.preview(self.images, self.views)
        self._step = trainer.global_step
        thread = ThreadPoolExecutor(1, "preview")
        self._drawn = thread.submit(_draw, rows, path)
        thread.shutdown(wait=False)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the figure; arguments as in ``on_fit_start``."""
        if not trainer.sanity_checking:
            self._show(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the figure; arguments as in ``on_fit_start``."""
        self._show(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Show the figure of a run that ends early; arguments as in ``on_fit_start``, and why."""
        with suppress(MisconfigurationException):  # what ends the run is said already
            self._show(trainer)

    def _show(self, trainer: Trainer) -> None:
        if self._drawn is None:
            return
        drawn, self._drawn = self._drawn, None
        with Image.open(io.BytesIO(drawn.result())) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("preview", pixels, global_step=self._step, dataformats="HWC")


def _draw(rows: list[Row], path: Path) -> bytes:
    picture = encoded_figure(preview_figure(rows))
    write_atomically(path, picture)
    return picture
