"""Shows which classes are taken for which."""

import csv
import io

import numpy as np
import numpy.typing as npt
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks.confusion_figure import confused_pairs, confusion_figure
from callbacks.run_folder import run_folder, write_atomically, write_figure
from lightning_modules import ImageClassifier
from lightning_modules.classification_scores import ClassificationScores


class ConfusionMatrix(Callback):
    """Draws the confusion matrix into TensorBoard, and writes it and a report by class.

    ``fit`` draws after each validation; ``validate`` and ``test`` also write ``val_``/``test_confusion_matrix.csv``,
    the same as ``.png``, and ``val_``/``test_report.csv``.

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, before the module forgets the counts.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if self.enabled and not trainer.sanity_checking:
            self._show(trainer, pl_module, "val", write=trainer.state.fn == "validate")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw and write; arguments as in ``on_validation_epoch_end``."""
        if self.enabled:
            self._show(trainer, pl_module, "test", write=True)

    def _show(self, trainer: Trainer, module: LightningModule, stage: str, write: bool) -> None:
        assert isinstance(module, ImageClassifier)
        scores = module.scores[stage]
        assert isinstance(scores, ClassificationScores)
        matrix = scores.confusion.compute().cpu().numpy()  # collective: on all devices
        folder = run_folder(trainer)
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        accuracy = np.trace(matrix) / max(1, matrix.sum())
        title = f"{stage}: accuracy {accuracy:.4f} on {matrix.sum()} images"
        figure = confusion_figure(matrix, module.class_names, title)
        if write:
            write_atomically(folder / f"{stage}_confusion_matrix.csv", _matrix_csv(matrix, module.class_names))
            write_atomically(folder / f"{stage}_report.csv", report_csv(matrix, module.class_names))
            write_figure(folder / f"{stage}_confusion_matrix.png", figure)
        step = trainer.global_step if trainer.state.fn == "fit" else module.steps_trained
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"{stage}/confusion_matrix", figure, step, close=False)


def report_csv(matrix: npt.NDArray[np.int64], class_names: list[str]) -> str:
    """Write precision, recall and F1 of each class, worst F1 first.

    Args:
        matrix: Counts of shape (classes, classes); rows are true classes.
        class_names: Names in the order of the indices.

    Returns:
        CSV with the columns class, images, precision, recall, f1, most_confused_with and times; a ratio without
        denominator is 0.
    """
    hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["class", "images", "precision", "recall", "f1", "most_confused_with", "times"])
    for index in np.argsort(f1, kind="stable"):
        row = np.zeros_like(matrix)
        row[index] = matrix[index]
        worst = confused_pairs(row, limit=1)
        mistake = [class_names[worst[0][1]], worst[0][2]] if worst else ["", 0]
        ratios = [f"{values[index]:.4f}" for values in (precision, recall, f1)]
        writer.writerow([class_names[index], true[index], *ratios, *mistake])
    return text.getvalue()


def _matrix_csv(matrix: npt.NDArray[np.int64], class_names: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["true \\ predicted", *class_names])
    for name, row in zip(class_names, matrix, strict=True):
        writer.writerow([name, *row.tolist()])
    return text.getvalue()
