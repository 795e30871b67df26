"""Shows what the network sees: originals beside their augmented views."""

from typing import Any, Protocol, runtime_checkable

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks.run_folder import run_folder
from results.figures import write_figure
from results.preview_figure import Row, preview_figure


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
