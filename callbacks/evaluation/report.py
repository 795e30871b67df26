"""Writes what was answered to each picture of an evaluation, as a table and as a page."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks.evaluation.answer_record import AnswerRecord
from callbacks.evaluation.report_page import ShowingDataModule, Split, write_page
from callbacks.evaluation.unknown_pictures import ask_unknown
from callbacks.run_folder import run_folder
from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import LOGIT_SCORES
from results.evaluation.answer_table import answers_csv
from results.evaluation.answers import Evaluation
from results.tables import write_csv


class Report(Callback):
    """Writes ``predictions.csv`` and ``report.html`` for ``test`` and ``validate``.

    The table has the most probable classes of each picture, the page scores with intervals, mistakes with heat maps,
    classes, calibration and suspected wrong labels; it needs no other file.

    Args:
        enabled: Off switch.
        pictures: How many pictures a section of the page shows.
        heat_maps: Show where the network looked (Grad-CAM).
        unknown: Pictures of none of the classes: files, folders or patterns. The page then shows how well they are told
            from the others, and ``unknown.csv`` has their answers.
    """

    def __init__(
        self,
        enabled: bool = True,
        pictures: int = 24,
        heat_maps: bool = True,
        unknown: str | list[str] | None = None,
    ) -> None:
        if unknown and not enabled:
            raise MisconfigurationException("report.unknown (--unknown) needs report.enabled.")
        if pictures < 0:
            raise MisconfigurationException(f"report.pictures is {pictures}: it has to be 0 or more.")
        self.unknown = [unknown] if isinstance(unknown, str) else unknown or []
        self.enabled = enabled
        self.pictures = pictures
        self.heat_maps = heat_maps
        self._record: AnswerRecord | None = None
        self._evaluation: Evaluation | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to record.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._begin(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to record for ``validate``; arguments as in ``on_test_start``."""
        if trainer.state.fn == "validate":
            self._begin(trainer, pl_module)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Record a batch.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            outputs: What the classifier made of the batch.
            batch: Images and labels.
            batch_idx: Its number.
            dataloader_idx: Number of its loader.
        """
        if self._record is not None:
            self._record.add(outputs, batch[1])

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Record a batch; arguments as in ``on_test_batch_end``."""
        if self._record is not None:
            self._record.add(outputs, batch[1])

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the answers and write the table; arguments as in ``on_test_start``."""
        self._write_table(trainer, pl_module, "test")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the answers and write the table; arguments as in ``on_test_start``."""
        self._write_table(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the page; arguments as in ``on_test_start``."""
        self._write_page(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the page; arguments as in ``on_test_start``."""
        self._write_page(trainer, pl_module)

    def _begin(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, ImageClassifier)
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._record = self._evaluation = None
        if self.enabled and isinstance(data, ShowingDataModule):
            self._record = AnswerRecord(
                trainer.global_rank, trainer.world_size, module.views is not None, module.fitted.norm_order
            )

    def _write_table(self, trainer: Trainer, module: LightningModule, stage: Split) -> None:
        if self._record is None:
            return
        assert isinstance(module, ImageClassifier)
        record, self._record = self._record, None
        found, folder = record.finish(), run_folder(trainer)  # collective: on all devices
        if not found or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        data: ShowingDataModule = trainer.datamodule  # type: ignore[attr-defined]
        unknown = ask_unknown(trainer, module, data, self.unknown) if self.unknown else None  # collective
        if not trainer.is_global_zero:
            return
        files = data.evaluated_files(stage)
        self._evaluation = Evaluation(
            stage,
            module.class_names,
            [files[position] for position in found["positions"].tolist()],
            found["positions"],
            found["labels"],
            found["plain"],
            found.get("averaged"),
            found["uncalibrated"],
            module.temperature,
            {name: found[name] for name in LOGIT_SCORES},
            unknown,
        )
        write_csv(folder / "predictions.csv", answers_csv(self._evaluation))
        if unknown is not None:
            from results.evaluation.unknown import separation, unknown_csv, unread_note

            write_csv(folder / "unknown.csv", unknown_csv(unknown))
            areas = [
                f"{separation(known, unknown.certainties[name]).auroc:.4f} {name}"
                for name, known in self._evaluation.certainties.items()
            ]
            shown = f"unknown: {len(unknown.files)} pictures, AUROC {', '.join(areas)}{unread_note(unknown)}"
            print(shown, flush=True)  # noqa: T201

    def _write_page(self, trainer: Trainer, module: LightningModule) -> None:
        folder = run_folder(trainer)  # collective: on all devices
        evaluation, self._evaluation = self._evaluation, None
        if evaluation is not None:
            assert isinstance(module, ImageClassifier)
            write_page(folder, evaluation, trainer, module, self.pictures, self.heat_maps)
