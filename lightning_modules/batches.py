"""Batches of any loader."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from lightning_modules.scoring.confusion_counts import NO_LABEL
from lightning_modules.scoring.stage_metrics import Scores

Predicted: TypeAlias = Tensor | tuple[list[str], Tensor, Tensor]


def images_and_rest(batch: Any) -> tuple[Tensor, list[Any]]:
    """Take the images out of a batch that is to be predicted.

    Args:
        batch: Images, alone or followed by labels or whatever else.

    Returns:
        The images, and what follows them.

    Raises:
        MisconfigurationException: If it doesn't begin with a tensor.
    """
    images, *rest = [batch] if isinstance(batch, Tensor | dict) else batch
    if not isinstance(images, Tensor):
        raise MisconfigurationException(
            f"A batch to predict has to be a tensor of images, or a tuple or list that begins with one; this is a "
            f"{type(batch).__name__} with a {type(images).__name__}."
        )
    return images, rest


def with_files(rest: Sequence[Any], scores: Scores) -> Predicted:
    """Put the names of files before what was computed of their pictures.

    Args:
        rest: What follows the images in a batch; the data modules' begins with files and why they couldn't be read.
        scores: What was computed.

    Returns:
        The files that could be read, their probabilities and logits; of another batch, the probabilities alone.
    """
    if not (rest and hasattr(rest[0], "position")):
        return scores.averaged
    files, errors, _ = rest[0]
    read = [index for index, file in enumerate(files) if file and not errors[index]]
    return [files[index] for index in read], scores.averaged[read], scores.logits[read]


def check_labels(labels: Tensor, class_names: Sequence[str]) -> None:
    """Refuse labels of classes that there aren't, on a CPU: to read them from a GPU would make it wait.

    Args:
        labels: Class indices, integers of shape (batch,).
        class_names: Names of the classes.

    Raises:
        MisconfigurationException: If a label is out of their range.
    """
    if labels.device.type != "cpu" or not labels.numel():
        return
    low, high = (int(bound) for bound in labels.aminmax())
    if low < NO_LABEL or high >= len(class_names):
        raise MisconfigurationException(
            f"A batch has labels from {low} to {high}, but those of the {len(class_names)} class_names are 0 to "
            f"{len(class_names) - 1}."
        )
