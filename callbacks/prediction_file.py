"""Writes what ``predict`` found."""

import csv
import io
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info

from callbacks.run_folder import run_folder
from lightning_modules import ImageClassifier
from runs.whole_file import write_atomically


class PredictionFile(Callback):
    """Writes ``predictions.csv``: a row per photograph with the most probable classes, in the order of the files.

    Args:
        enabled: Off switch.
        top: How many classes a row names.

    Raises:
        MisconfigurationException: If it names none.
    """

    def __init__(self, enabled: bool = True, top: int = 5) -> None:
        if top < 1:
            raise MisconfigurationException(f"predictions.top is {top}: it has to be 1 or more.")
        self.enabled = enabled
        self.top = top
        self.rows: list[tuple[str, list[int], list[float]]] = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the rows of an earlier run.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self.rows = []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the best classes of a batch.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            outputs: Files and probabilities of shape (batch, classes).
            batch: The batch.
            batch_idx: Its number.
            dataloader_idx: Number of the loader.
        """
        files, probabilities = outputs
        best = probabilities.topk(min(self.top, probabilities.shape[1]), dim=1)
        self.rows += zip(files, best.indices.tolist(), best.values.tolist(), strict=True)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the rows of all devices and write the file.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if not self.enabled:
            return
        path = run_folder(trainer) / "predictions.csv"
        rows = self.rows
        if trainer.world_size > 1:
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, rows)
            rows = [row for part in gathered for row in part]
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ImageClassifier)
        names = pl_module.class_names
        columns = range(1, min(self.top, len(names)) + 1)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["file", *(f"{kind}_{number}" for number in columns for kind in ("class", "probability"))])
        for file, indices, values in sorted(rows):
            pairs = zip(indices, values, strict=True)
            writer.writerow([file, *(cell for index, value in pairs for cell in (names[index], f"{value:.6f}"))])
        write_atomically(path, text.getvalue())
        rank_zero_info(f"{len(rows)} predictions: {path}")
