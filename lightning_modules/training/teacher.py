"""A trained classifier whose answers another one learns from."""

from collections.abc import Sequence
from typing import Self

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from lightning_modules.networks import PixelNormalization
from lightning_modules.photograph_classifier import PhotographClassifier
from runs.class_names import ClassNames


class Teacher:
    """Answers for the images that a student sees, equally cropped and mixed.

    It isn't a module: its weights belong neither to the student's checkpoints nor to its moving average.

    Args:
        model: The trained classifier, in evaluation mode. Its weights become float32; in mixed precision it computes
            as the student does. Its classes may be more than the student's, in any order.
        class_names: The student's classes.
        seen: How the student normalises pixels.

    Raises:
        MisconfigurationException: If the teacher doesn't know one of the classes.
    """

    def __init__(self, model: PhotographClassifier, class_names: Sequence[str], seen: PixelNormalization) -> None:
        find = ClassNames(model.class_names).find  # however they are spelt
        places = {name: place for name in class_names if (place := find(name)) is not None}
        unknown = [name for name in class_names if name not in places]
        if unknown:
            raise MisconfigurationException(
                f"distillation.teacher doesn't know {len(unknown)} of {len(class_names)} classes, {unknown[0]!r} "
                f"first: it has to be trained on all classes of this run."
            )
        self.model = model.float().requires_grad_(False)  # runs in half precision load as such
        self.size: int = model.hparams["image_size"]
        self.seen = seen
        self.places = torch.tensor([places[name] for name in class_names])

    def to(self, device: torch.device) -> Self:
        """Move it to the student's device."""
        self.model.to(device)
        self.places = self.places.to(device)
        return self

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Answer.

        Args:
            pixels: Images, normalised for the student, floats (batch, 3, height, width).

        Returns:
            Probabilities of the student's classes, float32 (batch, classes). The teacher sees images in the size that
            it was trained on.
        """
        own = self.model.normalize
        images = pixels * self.seen.std + self.seen.mean
        if images.shape[-1] != self.size:
            images = resize(images, [self.size, self.size], antialias=True)
        logits = self.model.logits(((images - own.mean) / own.std).float())
        return logits.float()[:, self.places].softmax(dim=1)
