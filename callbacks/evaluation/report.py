"""Writes what was answered to each picture of an evaluation, as a table and as a page."""

import platform
import time
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import lightning
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn
from tqdm.auto import tqdm

from callbacks.evaluation.answer_record import AnswerRecord
from callbacks.evaluation.heat_maps import HeatMaps
from callbacks.evaluation.unknown_pictures import ReadingDataModule, ask_unknown
from callbacks.run_folder import run_folder
from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import LOGIT_SCORES
from results.evaluation.answer_table import answers_csv
from results.evaluation.answers import Evaluation
from results.figures.mistakes_figure import mistakes_figure
from results.report.cases import Picture, choose
from results.tables import write_csv
from runs.commands import address, typed_command
from runs.copies import url_of
from runs.finding import run_of
from runs.whole_file import write_atomically

Split = Literal["val", "test"]
_SHOWN = 12  # mistakes in TensorBoard


@runtime_checkable
class ShowingDataModule(ReadingDataModule, Protocol):
    """A data module that knows its pictures."""

    def evaluated_files(self, split: Split) -> list[str]:
        """List the pictures of a split."""

    def evaluated_picture(self, split: Split, index: int) -> Picture:
        """Read one, as it is and as the network is given it; None if it can't be read."""


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
        folder = run_folder(trainer)
        evaluation, self._evaluation = self._evaluation, None
        if evaluation is None:
            return
        assert isinstance(module, ImageClassifier)
        from results.report.page import report_page  # not before it is needed: training doesn't wait for it

        checkpoint = trainer.ckpt_path
        run, config = run_of(Path(checkpoint) if checkpoint else folder), folder / "config.yaml"
        data: ShowingDataModule = trainer.datamodule  # type: ignore[attr-defined]
        with tqdm(desc="report", unit=" pictures", delay=2, disable=None, leave=False) as progress:

            def picture(row: int) -> Picture:
                progress.update()
                return data.evaluated_picture(evaluation.stage, int(evaluation.positions[row]))  # type: ignore[arg-type]

            page = report_page(
                evaluation,
                picture,
                self._heat_maps(module),
                {
                    "run": run.name if run else folder.name,
                    "folder": address(folder),
                    "checkpoint": address(Path(checkpoint)) if checkpoint else "",
                    "command": typed_command(),
                    "network": str(module.hparams["backbone"]),
                    "written": time.strftime("%Y-%m-%d %H:%M"),
                    "versions": f"Python {platform.python_version()}, PyTorch {torch.__version__}, Lightning "
                    f"{lightning.__version__}",
                    "machine": f"{platform.system()} {platform.machine()}, {trainer.world_size} x {module.device.type}",
                },
                config.read_text(encoding="utf-8") if config.exists() else "",
                self.pictures,
            )
        write_atomically(folder / "report.html", page)
        written = folder / "report.html"
        here = f" (here: {written})" if url_of(written) else ""  # which a browser can open
        print(f"report: {address(written)}{here}", flush=True)  # noqa: T201 - where to look
        self._show_mistakes(trainer, module, data, evaluation)

    def _heat_maps(self, module: ImageClassifier) -> HeatMaps | None:
        if not self.heat_maps or module.device_mesh is not None:  # a sharded network answers on all devices together
            return None
        heat_maps = HeatMaps(module)
        try:
            heat_maps.find_layer(int(module.hparams["image_size"]))
        except Exception as error:  # whatever an unusual network leads to: the page has all else
            rank_zero_warn(f"The report has no heat maps: {' '.join(str(error).split())}")
            return None
        return heat_maps

    def _show_mistakes(
        self, trainer: Trainer, module: ImageClassifier, data: ShowingDataModule, evaluation: Evaluation
    ) -> None:
        boards = [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        mistakes = []
        for row in choose(evaluation, _SHOWN).mistakes.tolist() if boards else ():
            found = data.evaluated_picture(evaluation.stage, int(evaluation.positions[row]))  # type: ignore[arg-type]
            answer, truth = (evaluation.class_names[index] for index in evaluation.answer_and_truth(row))
            if found is not None:
                mistakes.append((found[0], answer, truth, float(evaluation.best.confidence[row])))
        for board in boards if mistakes else ():
            figure = mistakes_figure(mistakes)
            board.add_figure(f"{evaluation.stage}/mistakes", figure, module.steps_trained, close=False)
