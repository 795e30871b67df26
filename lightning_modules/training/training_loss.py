"""The training loss, with smoothed and mixed labels and class weights."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torchvision.transforms import v2


def labels_to_balance(trainer: Trainer) -> npt.NDArray[np.int64]:
    """Ask the data module for the labels of the training set.

    Args:
        trainer: The trainer.

    Returns:
        The labels, int64 of shape (n,).

    Raises:
        MisconfigurationException: If there is no data module, or it doesn't know them.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    if not hasattr(data, "labels"):
        raise MisconfigurationException("model.balanced_loss needs a data module that knows all labels: labels(split).")
    labels: npt.NDArray[np.int64] = data.labels("train")
    return labels


class TrainingLoss(nn.Module):
    """Cross-entropy over batches whose images and labels may be mixed with each other on the device.

    Args:
        num_classes: Number of classes.
        label_smoothing: Share of the target spread over all classes (Szegedy et al., 2016).
        mixup_alpha: Shape of the Beta distribution from which MixUp draws the shares of two images (Zhang et al.,
            2018); 0 mixes none.
        cutmix_alpha: The same for CutMix, which pastes a part of another image (Yun et al., 2019). With both, every
            batch gets one of the two by chance.
    """

    def __init__(
        self, num_classes: int, label_smoothing: float = 0.0, mixup_alpha: float = 0.0, cutmix_alpha: float = 0.0
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        kinds: list[nn.Module] = []
        if mixup_alpha:
            kinds.append(v2.MixUp(alpha=mixup_alpha, num_classes=num_classes))
        if cutmix_alpha:
            kinds.append(v2.CutMix(alpha=cutmix_alpha, num_classes=num_classes))
        self.mixing = v2.RandomChoice(kinds) if kinds else None
        self.class_weights: Tensor | None = None
        self._teacher: Callable[[Tensor], Tensor] | None = None
        self._teachers_share = 0.0

    def learn_from(self, teacher: Callable[[Tensor], Tensor] | None, share: float = 0.0) -> None:
        """Have a teacher's answers count beside the labels.

        Args:
            teacher: Makes probabilities, (batch, classes), of normalised images; None leaves labels alone.
            share: Its share of the loss, from 0 to 1.
        """
        self._teacher, self._teachers_share = teacher, share

    def balance(self, labels: npt.NDArray[np.int64], num_classes: int, device: torch.device) -> None:
        """Weigh classes so that each adds as much to the loss: n / (classes * n of the class), scikit-learn's formula.

        Args:
            labels: Labels of the training set, int64, shape (n,).
            num_classes: Number of classes; those without a sample keep the weight 1.
            device: Where the loss is computed.
        """
        present = np.unique(labels)
        weights = np.ones(num_classes)
        weights[present] = compute_class_weight("balanced", classes=present, y=labels)
        self.class_weights = torch.as_tensor(weights, dtype=torch.float32, device=device)

    def mix(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the images of a batch, and their labels alike.

        Args:
            pixels: Floats of shape (batch, channels, height, width).
            labels: int64 of shape (batch,).

        Returns:
            Images of the same shape, and either the same labels or, where images were mixed, a distribution over the
            classes for each, floats of shape (batch, classes).
        """
        if self.mixing is None:
            return pixels, labels
        mixed: tuple[Tensor, Tensor] = self.mixing(pixels, labels)
        return mixed

    def forward(self, logits: Tensor, targets: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Compute the mean over the batch.

        The mean is taken over the images, not over the sum of their weights, so that the loss is the same whether a
        batch is split over devices or not, and whether labels are mixed or not.

        Args:
            logits: Floats of shape (batch, classes).
            targets: Labels, int64 of shape (batch,), or distributions, floats of shape (batch, classes).
            pixels: The images that the logits are of, as ``mix`` returned them; a teacher looks at them.

        Returns:
            The loss in nats, a scalar.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weights = None if self.class_weights is None else self.class_weights.to(logits.dtype)
        targets = targets.to(logits.dtype) if targets.is_floating_point() else targets
        loss = nn.functional.cross_entropy(
            logits, targets, weight=weights, label_smoothing=self.label_smoothing, reduction="none"
        ).mean()
        if self._teacher is None:
            return loss
        assert pixels is not None
        soft = nn.functional.cross_entropy(logits, self._teacher(pixels).to(logits.dtype))
        return (1 - self._teachers_share) * loss + self._teachers_share * soft


def expected_accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the accuracy on labels that may be mixed.

    Args:
        logits: Floats of shape (batch, classes).
        targets: Labels, int64 of shape (batch,), or distributions, floats of shape (batch, classes).

    Returns:
        The mean of what the targets give to the predicted classes, a scalar; the plain accuracy for plain labels.
    """
    predicted = logits.argmax(dim=1)
    if targets.ndim == 1:
        return (predicted == targets).float().mean()
    return targets.gather(1, predicted[:, None]).mean()
