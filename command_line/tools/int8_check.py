"""Writes a classifier with eight bits, unless that costs right answers."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from tqdm.auto import tqdm

from command_line.tools.evaluated_pictures import evaluated_pictures, evenly
from lightning_modules.export.int8 import to_int8
from runs.commands import next_command

_CALIBRATED, _CHECKED = 128, 1000  # pictures
_MOST_LOST = 0.01  # of the accuracy


class Int8(NamedTuple):
    """What became of it.

    Attributes:
        content: The file.
        pictures: How many pictures it was compared on.
        before: Share of right answers in floats.
        after: Share of right answers in eight bits.
        same: Share of the answers that are the same.
    """

    content: bytes
    pictures: int
    before: float
    after: float
    same: float

    def said(self, size: int) -> str:
        """Say what it costs and brings.

        Args:
            size: Bytes of the file in floats.

        Returns:
            A clause.
        """
        return (
            f"{size / 1e6:.1f} MB in floats; accuracy on {self.pictures} pictures of the run {self.after:.4f}, in "
            f"floats {self.before:.4f}; {100 * self.same:.1f} % of the answers are the same"
        )


def checked_int8(model: bytes, class_names: list[str], side: int, run: Path | None) -> Int8:
    """Quantise a classifier, and compare its answers with those in floats.

    Args:
        model: The classifier as ONNX.
        class_names: Names of its classes.
        side: Side of its images in pixels.
        run: The folder of its run.

    Returns:
        The file with what was measured.

    Raises:
        MisconfigurationException: If the run wasn't evaluated, or more than one of a hundred answers is lost.
    """
    import onnxruntime

    known = evaluated_pictures(run) if run else []
    if not known:
        command = next_command("validate", run) if run else "validate it in a run"
        raise MisconfigurationException(
            f"--int8 needs pictures of the run, to choose its steps by and to compare its answers: {command}"
        )
    chosen = [picture for labelled in evenly(known, _CALIBRATED) if (picture := labelled.read()) is not None]
    content = to_int8(model, chosen, side)
    sessions = [onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in (model, content)]
    answers: list[list[int]] = []
    labels: list[int] = []
    for labelled in tqdm(evenly(known, _CHECKED), "comparing", unit=" pictures", delay=2, disable=None, leave=False):
        picture = labelled.read()
        if picture is not None and labelled.label in class_names:
            answers.append([int(session.run(None, {"images": picture[None]})[0].argmax()) for session in sessions])
            labels.append(class_names.index(labelled.label))
    if not answers:
        raise MisconfigurationException("--int8 needs pictures of the run, of which none can be read any more.")
    table = np.array(answers)
    before, after = (float(share) for share in (table == np.array(labels)[:, None]).mean(axis=0))
    if after < before - _MOST_LOST:
        raise MisconfigurationException(
            f"With eight bits the accuracy on {len(table)} pictures of the run falls from {before:.4f} to {after:.4f}. "
            "Nothing was written: export it in floats."
        )
    return Int8(content, len(table), before, after, float((table[:, 0] == table[:, 1]).mean()))
