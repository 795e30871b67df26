"""Shows which classes are taken for which."""

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from scipy.sparse import coo_array

from callbacks.run_folder import run_folder
from lightning_modules import ImageClassifier
from lightning_modules.classification_metrics import ClassificationMetrics
from results.class_report import matrix_csv, report_csv
from results.confusion_figure import confusion_figure
from results.figures import write_figure
from results.tables import write_csv


class ConfusionMatrix(Callback):
    """Draws the confusion matrix into TensorBoard, and writes it and a report by class.

    ``fit`` draws after each validation; ``validate`` and ``test`` also write ``val_``/``test_confusion_matrix.csv``,
    the same as ``.png``, and ``val_``/``test_report.csv``. Of very many classes the table lists the pairs that occur,
    and the figure shows the classes that are confused most (``results.class_report``, ``results.confusion_figure``).

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
        scores = module.metrics[stage]
        assert isinstance(scores, ClassificationMetrics)
        counts = scores.confusion.compute()  # collective: on all devices
        folder = run_folder(trainer)
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        matrix = coo_array((counts.values().numpy(), tuple(counts.indices().numpy())), shape=tuple(counts.shape))
        accuracy = matrix.trace() / max(1, matrix.sum())
        title = f"{stage}: accuracy {accuracy:.4f} on {matrix.sum()} images"
        figure = confusion_figure(matrix, module.class_names, title)
        if write:
            write_csv(folder / f"{stage}_confusion_matrix.csv", matrix_csv(matrix, module.class_names))
            write_csv(folder / f"{stage}_report.csv", report_csv(matrix, module.class_names))
            write_figure(folder / f"{stage}_confusion_matrix.png", figure)
        step = trainer.global_step if trainer.state.fn == "fit" else module.steps_trained
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"{stage}/confusion_matrix", figure, step, close=False)
