"""Writes the page of an evaluation, and its mistakes into TensorBoard."""

import platform
import time
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import lightning
import torch
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn
from tqdm.auto import tqdm

from callbacks.evaluation.heat_maps import HeatMaps
from callbacks.evaluation.unknown_pictures import ReadingDataModule
from lightning_modules import ImageClassifier
from results.evaluation.answers import Evaluation
from results.figures.mistakes_figure import mistakes_figure
from results.report.cases import Picture, choose
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


def write_page(
    folder: Path, evaluation: Evaluation, trainer: Trainer, module: ImageClassifier, pictures: int, heat_maps: bool
) -> None:
    """Write ``report.html``, say where it is, and show mistakes in TensorBoard.

    Args:
        folder: The folder of the evaluation.
        evaluation: What was answered.
        trainer: The trainer, whose data module is a ``ShowingDataModule``.
        module: The classifier.
        pictures: How many pictures a section of the page shows.
        heat_maps: Show where the network looked.
    """
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
            _heat_maps(module) if heat_maps else None,
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
            pictures,
        )
    written = folder / "report.html"
    write_atomically(written, page)
    here = f" (here: {written})" if url_of(written) else ""  # which a browser can open
    print(f"report: {address(written)}{here}", flush=True)  # noqa: T201 - where to look
    _show_mistakes(trainer, module, data, evaluation)


def _heat_maps(module: ImageClassifier) -> HeatMaps | None:
    if module.device_mesh is not None:  # a sharded network answers on all devices together
        return None
    heat_maps = HeatMaps(module)
    try:
        heat_maps.find_layer(int(module.hparams["image_size"]))
    except Exception as error:  # whatever an unusual network leads to: the page has all else
        rank_zero_warn(f"The report has no heat maps: {' '.join(str(error).split())}")
        return None
    return heat_maps


def _show_mistakes(trainer: Trainer, module: ImageClassifier, data: ShowingDataModule, evaluation: Evaluation) -> None:
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
