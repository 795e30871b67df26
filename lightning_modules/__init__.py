"""From uint8 batches to logits, loss and metrics: the classifier, its backbones and its optimisation."""

from lightning_modules.image_classifier import ImageClassifier

__all__ = ["ImageClassifier"]
