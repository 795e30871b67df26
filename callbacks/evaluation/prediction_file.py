"""Writes and prints what ``predict`` found."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks.run_folder import run_folder
from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import AnswerRule, Certainty, certainty
from lightning_modules.scoring.most_probable import most_probable
from results.predictions import Prediction, answer_lines, as_csv, as_json_lines
from results.tables import write_csv
from results.text_table import printable
from runs.copies import url_of
from runs.naming import endings
from runs.whole_file import write_atomically

_JSON_LINES = (".jsonl", ".json")


class PredictionFile(Callback):
    """Writes a row per photograph with its most probable classes, in the order of the photographs; prints the first.

    A photograph that couldn't be read has a row with the reason.

    Args:
        enabled: Off switch.
        top: How many classes a row names.
        file: The file to write, which must not exist: CSV, or by the suffix ``.jsonl`` or ``.json`` JSON lines; null
            writes ``predictions.csv`` in the run's folder.
        min_confidence: Answer ``unknown`` below this probability, in a column of its own; null answers always.
        coverage: The same with the probability that this share of the validation images reached, 0.9 for instance; it
            goes by the plain picture, with ``tta.predict`` as well.
        score: What coverage goes by: ``probability``, or of the plain picture ``max_logit`` or ``normalized_logit``; a
            column of its own then has it. ``test --unknown`` says which tells pictures of none of the classes best.

    Raises:
        MisconfigurationException: If it names no class, the file has another suffix, or a share is out of range.
    """

    def __init__(
        self,
        enabled: bool = True,
        top: int = 5,
        file: str | None = None,
        min_confidence: float | None = None,
        coverage: float | None = None,
        score: Certainty = "probability",
    ) -> None:
        self.rule = AnswerRule(score, min_confidence, coverage)
        self.rule.check()
        if top < 1:
            raise MisconfigurationException(f"predictions.top is {top}: it has to be 1 or more.")
        if file is not None and Path(file).suffix.lower() not in (".csv", *_JSON_LINES):
            raise MisconfigurationException(
                f"predictions.file (--output) is {file}: its suffix has to be .csv, or .jsonl or .json for JSON lines."
            )
        self.enabled = enabled
        self.top = top
        self.file = file
        self.threshold = -math.inf
        self.rows: list[tuple[int, str, str, list[int], list[float], float]] = []
        self.written: tuple[Path, list[Prediction]] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a file that is there already or can't be written, before anything has been classified.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: The stage.

        Raises:
            MisconfigurationException: If that is so.
        """
        if stage != "predict" or not self.enabled or self.file is None:
            return
        objection = trainer.strategy.broadcast(_objection(Path(self.file)))  # another machine needn't see the file
        if objection:
            raise MisconfigurationException(f"predictions.file (--output) is {self.file}, {objection}: choose another.")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the rows of an earlier run.

        Args:
            trainer: The trainer.
            pl_module: The classifier.

        Raises:
            MisconfigurationException: If the checkpoint doesn't know the score of a coverage.
        """
        self.rows = []
        assert isinstance(pl_module, ImageClassifier)
        self.threshold = self.rule.threshold(pl_module.fitted)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the best classes of a batch, and why others couldn't be read.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            outputs: Files, and probabilities and logits of shape (files, classes), of those that could be read.
            batch: Images, and files, reasons and positions of all.
            batch_idx: Its number.
            dataloader_idx: Number of the loader.
        """
        assert isinstance(pl_module, ImageClassifier)
        files, probabilities, logits = outputs
        values, classes = most_probable(probabilities, self.top)
        # a coverage was found on plain pictures, whose probabilities are higher than means over views
        compared = probabilities if self.rule.coverage is None else (logits / pl_module.temperature).softmax(dim=1)
        sure = certainty(self.rule.score, compared, logits, pl_module.fitted.norm_order)
        columns = (classes.tolist(), values.tolist(), sure.tolist())
        answers = dict(zip(files, zip(*columns, strict=True), strict=True))
        for file, error, position in zip(*batch[1][:2], batch[1][2].tolist(), strict=True):
            if file:
                self.rows.append((position, file, error, *answers.get(file, ([], [], 0.0))))

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the rows of all devices and write the file.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if not self.enabled:
            return
        path = run_folder(trainer) / "predictions.csv" if self.file is None else Path(self.file)
        rows = self.rows
        if trainer.world_size > 1:
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, rows)
            rows = [row for part in gathered for row in part]
        assert isinstance(pl_module, ImageClassifier)
        names = pl_module.class_names
        found = [
            Prediction(
                file,
                [(names[index], value) for index, value in zip(indices, values, strict=True)],
                error,
                unknown=bool(values) and sure < self.threshold,
                score=sure if values and self.rule.score != "probability" else None,
            )
            for _, file, error, indices, values, sure in sorted(rows)
        ]
        with_answers = not self.rule.always_answers
        path = _still_free(path)
        self.written = path, found
        if trainer.is_global_zero:
            json_lines = path.suffix.lower() in _JSON_LINES
            if json_lines:
                write_atomically(path, as_json_lines(found, with_answers))
            else:
                write_csv(path, as_csv(found, min(self.top, len(names)), with_answers))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print the answers, now that no progress bar is in the way.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: The stage.

        Raises:
            MisconfigurationException: If no photograph could be read.
        """
        if self.written is None:
            return
        (path, found), self.written = self.written, None
        failed = [prediction for prediction in found if prediction.error]
        if trainer.is_global_zero:
            lines = answer_lines(found, shutil.get_terminal_size().columns)
            if not self.rule.always_answers:
                unknown = sum(prediction.unknown for prediction in found)
                limit = f"{self.threshold:.3f}"
                below = f"less probable than {limit}"
                if self.rule.score != "probability":
                    below = f"less sure than {limit} by {self.rule.score}"
                lines.append(f"{unknown} of {len(found)} answers are {below}")
            if failed:
                lines.append(f"{len(failed)} of {len(found)} photographs couldn't be read")
            lines.append(f"predictions: {printable(url_of(Path(path)) or str(path))}")
            print("\n" + "\n".join(lines), flush=True)  # noqa: T201 - the result that the user waits for
        if found and len(failed) == len(found):
            raise MisconfigurationException(
                f"None of {len(failed)} photographs could be read, the first: {failed[0].file}: {failed[0].error}."
            )


def _still_free(file: Path) -> Path:
    """Number the name of a file that another command has written since this one began."""
    names = (file.with_stem(f"{file.stem}{ending}") for ending in endings())
    return next(name for name in names if not os.path.lexists(name))


def _objection(file: Path) -> str | None:
    if os.path.lexists(file):
        return "which exists already"
    folder = next(parent for parent in file.absolute().parents if os.path.lexists(parent))
    return None if folder.is_dir() and os.access(folder, os.W_OK) else f"but {folder} is no folder to write to"
