"""Classifies pictures that show none of its classes."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import CERTAINTIES, certainty
from lightning_modules.scoring.most_probable import most_probable
from results.evaluation.answers import UnknownPictures


class ReadingDataModule(Protocol):
    """A data module that reads other pictures than its own."""

    def other_pictures(self, paths: Sequence[str]) -> Iterable[Any]:
        """Make this device's batches of pictures, as those of ``predict``."""


def ask_unknown(
    trainer: Trainer, module: ImageClassifier, data: ReadingDataModule, paths: Sequence[str]
) -> UnknownPictures:
    """Evaluate pictures of none of the classes; to be called on all devices.

    Args:
        trainer: The trainer, which evaluates.
        module: The classifier.
        data: Reads the pictures.
        paths: Files, folders, patterns and lists.

    Returns:
        The answers, in the order of the pictures.

    Raises:
        MisconfigurationException: If none of the pictures can be read.
    """
    rows: list[tuple[int, str, int, list[float], str]] = []
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        for batch in data.other_pictures(paths):
            scores = module.scores(batch[0].to(module.device))
            kinds = [certainty(kind, scores.averaged, scores.logits, module.fitted.norm_order) for kind in CERTAINTIES]
            values = torch.stack(kinds, dim=1).tolist()
            answers = most_probable(scores.averaged, 1)[1][:, 0].tolist()
            files, errors, positions = batch[1]
            given = zip(positions.tolist(), files, answers, values, errors, strict=True)
            rows += [row for row in given if row[1]]
    if trainer.world_size > 1:
        parts: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(parts, rows)
        rows = [row for part in parts for row in part]
    source = ", ".join(map(str, paths))
    if all(error for *_, error in rows):
        raise MisconfigurationException(f"report.unknown (--unknown) is {source}, where no picture can be read.")
    rows.sort(key=lambda row: row[0])
    read = [row for row in rows if not row[4]]
    table = np.array([values for _, _, _, values, _ in read], dtype=np.float32)
    return UnknownPictures(
        [file for _, file, *_ in read],
        [module.class_names[answer] for _, _, answer, *_ in read],
        {kind: table[:, column] for column, kind in enumerate(CERTAINTIES)},
        source,
        {file: error for _, file, _, _, error in rows if error},
    )
