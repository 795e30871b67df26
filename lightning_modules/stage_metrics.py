"""Scores of validation and test, plainly and over several views of each image."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from torch import Tensor, nn

from lightning_modules.classification_metrics import ClassificationMetrics

Classifier: TypeAlias = Callable[[Tensor], Tensor]
Views: TypeAlias = Callable[[Tensor], Iterable[Tensor]]


def probabilities_over_views(classifier: Classifier, images: Tensor, views: Views | None) -> tuple[Tensor, Tensor]:
    """Compute probabilities, plainly and as the mean over further views.

    Args:
        classifier: Computes logits of images.
        images: Pixels, uint8 of shape (batch, 3, height, width).
        views: Makes the further views; None makes none.

    Returns:
        Plain and averaged probabilities, float32 of shape (batch, classes); without views both are the same.
    """
    plain = classifier(images).float().softmax(dim=1)
    if views is None:
        return plain, plain
    averaged, count = plain.clone(), 1
    for view in views(images):
        averaged += classifier(view).float().softmax(dim=1)
        count += 1
    return plain, averaged / count


class StageMetrics(nn.ModuleDict):
    """The metrics of each stage: ``val``, ``test``, and over views ``val_tta``, ``test_tta``.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(
            {stage: ClassificationMetrics(num_classes) for stage in ("val", "val_tta", "test", "test_tta")}
        )

    def add(self, stage: str, classifier: Classifier, batch: tuple[Tensor, Tensor], views: Views | None) -> None:
        """Classify a batch and count it.

        Args:
            stage: ``val`` or ``test``.
            classifier: Computes logits of images.
            batch: Images, uint8 (batch, 3, height, width), and labels, int64 (batch,).
            views: Makes further views of the images; None makes none.
        """
        images, labels = batch
        plain, averaged = probabilities_over_views(classifier, images, views)
        self._of(stage).update(plain, labels)
        if views is not None:
            self._of(f"{stage}_tta").update(averaged, labels)

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
