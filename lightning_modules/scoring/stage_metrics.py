"""Scores of validation and test, plainly and over several views of each image."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from torch import Tensor, nn

from lightning_modules.scoring.classification_metrics import ClassificationMetrics

Classifier: TypeAlias = Callable[[Tensor], Tensor]
Views: TypeAlias = Callable[[Tensor], Iterable[Tensor]]


class Scores(NamedTuple):
    """The classifier's outputs for a batch of images.

    Attributes:
        logits: Those of the images as they are, float32 of shape (batch, classes).
        plain: Their probabilities, of the same shape.
        averaged: The mean of the probabilities over all views; the plain ones where there are no further views.
    """

    logits: Tensor
    plain: Tensor
    averaged: Tensor


def scores_over_views(classifier: Classifier, images: Tensor, views: Views | None, temperature: float = 1.0) -> Scores:
    """Compute probabilities, plainly and as the mean over further views.

    Args:
        classifier: Computes logits of images.
        images: Pixels, uint8 of shape (batch, 3, height, width).
        views: Makes the further views; None makes none.
        temperature: What logits are divided by.

    Returns:
        Logits and probabilities.
    """
    logits = classifier(images).float()
    plain = (logits / temperature).softmax(dim=1)
    if views is None:
        return Scores(logits, plain, plain)
    averaged, count = plain.clone(), 1
    for view in views(images):
        averaged += (classifier(view).float() / temperature).softmax(dim=1)
        count += 1
    return Scores(logits, plain, averaged / count)


class StageMetrics(nn.ModuleDict):
    """The metrics of each stage: ``val``, ``test``, and over views ``val_tta``, ``test_tta``.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(
            {stage: ClassificationMetrics(num_classes) for stage in ("val", "val_tta", "test", "test_tta")}
        )

    def add(self, stage: str, scores: Scores, labels: Tensor, with_views: bool) -> dict[str, Tensor]:
        """Count a batch.

        The plain loss is that of the logits, so that ``fit`` and ``validate`` name the same one; the loss over views is
        that of the averaged probabilities.

        Args:
            stage: ``val`` or ``test``.
            scores: What the classifier made of it.
            labels: True classes, int64 of shape (batch,).
            with_views: Whether there have been views.

        Returns:
            The scores by name, for callbacks.
        """
        self._of(stage).update(scores.logits.softmax(dim=1), labels)
        if with_views:
            self._of(f"{stage}_tta").update(scores.averaged, labels)
        return {"logits": scores.logits, "plain": scores.plain, "averaged": scores.averaged}

    def finish(self, stage: str, with_views: bool) -> dict[str, Tensor]:
        """Compute the metrics of a stage over all devices, which all have to call this, and forget its batches.

        Args:
            stage: ``val`` or ``test``.
            with_views: Whether there have been views.

        Returns:
            Scalars by name: ``val/f1`` and so on, with views ``val_tta/f1`` and so on too.
        """
        results: dict[str, Tensor] = {}
        for name in [stage, f"{stage}_tta"] if with_views else [stage]:
            results |= {f"{name}/{key}": score for key, score in self._of(name).compute().items()}
            self._of(name).reset()
        return results

    def names(self, stage: str) -> list[str]:
        """Name what ``finish`` returns for a stage without views.

        Args:
            stage: ``val`` or ``test``.

        Returns:
            ``val/f1`` and so on.
        """
        return [f"{stage}/{name}" for name in self._of(stage).names]

    def _of(self, stage: str) -> ClassificationMetrics:
        metrics = self[stage]
        assert isinstance(metrics, ClassificationMetrics)
        return metrics
