"""Draws and writes the confusion matrix."""

from typing import NamedTuple

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from scipy.sparse import coo_array

from callbacks.run_folder import run_folder
from lightning_modules import ImageClassifier
from lightning_modules.scoring.classification_metrics import ClassificationMetrics
from results.class_report import matrix_csv, report_csv
from results.figures.confusion_figure import confusion_figure
from results.figures.figure_file import write_figure
from results.tables import write_csv


class Counted(NamedTuple):
    """What a stage has counted.

    Attributes:
        stage: ``val`` or ``test``.
        matrix: Counts, (classes, classes).
        class_names: Names of the classes.
        step: The optimizer step.
    """

    stage: str
    matrix: coo_array
    class_names: list[str]
    step: int


class ConfusionMatrix(Callback):
    """Draws the confusion matrix into TensorBoard, and writes it and a report by class.

    ``fit`` draws when the scores are the best so far, and at the end; ``validate`` and ``test`` also write
    ``val_``/``test_confusion_matrix.csv``, the same as ``.png``, and ``val_``/``test_report.csv``. Of very many classes
    the table lists the pairs that occur, and the figure shows the classes that are confused most
    (``results.class_report``, ``results.figures.confusion_figure``).

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._waiting: Counted | None = None

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the counts, before the module forgets them.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if not self.enabled or trainer.sanity_checking:
            return
        self._waiting = self._counted(trainer, pl_module, "val")
        if trainer.state.fn == "validate":
            self._show(trainer, write=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, if the scores, which are known by now, are the best so far; arguments as in the hook above."""
        checkpoint = trainer.checkpoint_callback
        if not self.enabled or trainer.sanity_checking or not isinstance(checkpoint, ModelCheckpoint):
            return
        score = trainer.callback_metrics.get(str(checkpoint.monitor))
        if trainer.state.fn == "fit" and score is not None and checkpoint.check_monitor_top_k(trainer, score):
            self._show(trainer, write=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what the last validation has counted; arguments as in ``on_validation_epoch_end``."""
        self._show(trainer, write=False)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw and write; arguments as in ``on_validation_epoch_end``."""
        if self.enabled:
            self._waiting = self._counted(trainer, pl_module, "test")
            self._show(trainer, write=True)

    def _counted(self, trainer: Trainer, module: LightningModule, stage: str) -> "Counted":
        assert isinstance(module, ImageClassifier)
        scores = module.metrics[stage]
        assert isinstance(scores, ClassificationMetrics)
        counts = scores.confusion.compute()  # collective: on all devices
        matrix = coo_array((counts.values().numpy(), tuple(counts.indices().numpy())), shape=tuple(counts.shape))
        step = trainer.global_step if trainer.state.fn == "fit" else module.steps_trained
        return Counted(stage, matrix, module.class_names, step)

    def _show(self, trainer: Trainer, write: bool) -> None:
        waiting, self._waiting = self._waiting, None
        folder = run_folder(trainer)
        if waiting is None or not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        stage, matrix, class_names, step = waiting
        accuracy = matrix.trace() / max(1, matrix.sum())
        figure = confusion_figure(matrix, class_names, f"{stage}: accuracy {accuracy:.4f} on {matrix.sum()} images")
        if write:
            write_csv(folder / f"{stage}_confusion_matrix.csv", matrix_csv(matrix, class_names))
            write_csv(folder / f"{stage}_report.csv", report_csv(matrix, class_names))
            write_figure(folder / f"{stage}_confusion_matrix.png", figure)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"{stage}/confusion_matrix", figure, step, close=False)
