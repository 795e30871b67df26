"""Compares what was exported with PyTorch's answers and the run's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from command_line.tools.evaluated_pictures import evaluated_pictures, evenly
from datamodules.reading.image_reader import Image
from lightning_modules import ImageClassifier
from lightning_modules.export.exported_classifier import ExportedClassifier

_PICTURES = 16
_WRITTEN = 1e-4  # of a probability, between PyTorch and the file
_RESIZED = 1e-2  # between the run, whose pictures OpenCV resizes, and the file: a few pixels are rounded otherwise


class AnswerCheck:
    """Classifies pictures of the run with an exported classifier.

    Args:
        model: The run's classifier.
        exported: The part of it that was to be written.
        run: The run's folder, whose evaluated pictures are taken; without any, random ones.
    """

    def __init__(self, model: ImageClassifier, exported: ExportedClassifier, run: Path | None) -> None:
        self.model, self.exported = model, exported
        self.pictures, self.what = _pictures(run)

    def said(self, written: Callable[[Tensor], Tensor]) -> str:
        """Compare answers.

        Args:
            written: The exported classifier: from uint8 pixels of shape (batch, height, width, 3) to probabilities.

        Returns:
            What was found, for people.

        Raises:
            MisconfigurationException: If a probability differs, by more than resizing explains.
        """
        largest = 0.0
        for picture, answer in zip(self.pictures, self.model.classify([*self.pictures]), strict=True):
            pixels = torch.from_numpy(picture[None])
            with torch.inference_mode():
                found = written(pixels)[0]
                same = float((found - self.exported(pixels)[0]).abs().max())
            expected = torch.tensor([answer[name] for name in self.model.class_names])
            difference = float((found - expected).abs().max())
            largest = max(largest, difference)
            sure = float(expected.topk(2).values.diff().abs()) > 2 * difference
            right = found.argmax() == expected.argmax() or not sure
            if not (same <= _WRITTEN and difference <= _RESIZED and right):
                raise MisconfigurationException(
                    "The exported network answers otherwise than the run: a probability differs by "
                    f"{difference:.2g}, by {same:.2g} from what was to be written. Nothing was kept; report this with "
                    "the name of the network."
                )
        return f"{len(self.pictures)} {self.what} have the same answers, probabilities differ by {largest:.1g} at most"


def _pictures(run: Path | None) -> tuple[list[Image], str]:
    """Take pictures that the run was evaluated on, or drawn ones; and what to call them."""
    known = evenly(evaluated_pictures(run), _PICTURES) if run else []
    pictures = [picture for labelled in known if (picture := labelled.read()) is not None]
    if pictures:
        return pictures, "pictures of its evaluation"
    random = np.random.default_rng(0)
    sizes = [(300, 400), (600, 500), (1000, 1500), (90, 120)]
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes], "random pictures"
