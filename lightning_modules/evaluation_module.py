"""Validation, test and prediction, plainly and over several views of each image."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import lightning as L
from torch import Tensor, nn

from lightning_modules.classification_scores import ClassificationScores

Views: TypeAlias = Callable[[Tensor], Iterable[Tensor]]


class EvaluationModule(L.LightningModule):
    """Base of classifiers: counts predictions and logs the scores, those with views beside the plain ones.

    Attributes:
        views: Makes further views of a batch of images; a callback installs it.
        scores: Metrics by stage; those with ``_tta`` fill up only where views are installed.
        steps_trained: Optimizer steps behind the loaded weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.views: Views | None = None
        self.scores = nn.ModuleDict()
        self.steps_trained = 0

    def configure_scores(self, num_classes: int) -> None:
        """Make the metrics of each stage.

        Args:
            num_classes: Number of classes.
        """
        for stage in ("val", "val_tta", "test", "test_tta"):
            self.scores[stage] = ClassificationScores(num_classes)

    def probabilities(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute probabilities, plainly and as the mean over the views that a callback has installed.

        Args:
            images: Pixels, uint8 of shape (batch, 3, height, width).

        Returns:
            Plain and averaged probabilities, float32 of shape (batch, classes); without views both are the same.
        """
        plain = self(images).float().softmax(dim=1)
        if self.views is None:
            return plain, plain
        averaged, count = plain.clone(), 1
        for view in self.views(images):
            averaged += self(view).float().softmax(dim=1)
            count += 1
        return plain, averaged / count

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a validation batch.

        Args:
            batch: Images, uint8 (batch, 3, height, width), and labels, int64 (batch,).
            batch_idx: Its number.
        """
        self._evaluate("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a test batch; arguments as in ``validation_step``."""
        self._evaluate("test", batch)

    def predict_step(self, batch: tuple[Tensor, list[str]], batch_idx: int) -> tuple[list[str], Tensor]:
        """Classify a batch of photographs.

        Args:
            batch: Images, uint8 (batch, 3, height, width), and their files; an empty name stands for an image that
                couldn't be read.
            batch_idx: Its number.

        Returns:
            The files that could be read and their probabilities, float32 of shape (files, classes).
        """
        images, files = batch
        read = [index for index, file in enumerate(files) if file]
        return [files[index] for index in read], self.probabilities(images)[1][read]

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation set."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test set."""
        self._log_scores("test")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how long the weights were trained, so that their evaluation stands beside the curves of the training.

        Args:
            checkpoint: What is being loaded.
        """
        self.steps_trained = int(checkpoint.get("global_step", 0))

    def _evaluate(self, stage: str, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        plain, averaged = self.probabilities(images)
        self._scores(stage).update(plain, labels)
        if self.views is not None:
            self._scores(f"{stage}_tta").update(averaged, labels)

    def _scores(self, stage: str) -> ClassificationScores:
        scores = self.scores[stage]
        assert isinstance(scores, ClassificationScores)
        return scores

    def _log_scores(self, stage: str) -> None:
        for name in [stage] if self.views is None else [stage, f"{stage}_tta"]:
            scores = self._scores(name)
            for key, value in scores.compute().items():
                shown = name == "val" and key in ("accuracy", "f1")
                self.log(f"{name}/{key}", value, prog_bar=shown, logger=key != "classes")  # no curve
            scores.reset()
        if self.trainer.state.fn != "fit":
            self.log("step", float(self.steps_trained))  # Lightning's name for where a logger puts the others
