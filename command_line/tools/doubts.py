"""The command ``doubts``: which labels are probably wrong, by networks that haven't seen their images in training."""

import csv
import io
import os
from collections import Counter
from itertools import chain, count
from pathlib import Path
from typing import Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.tools.evaluated_pictures import read_or_none
from command_line.trainings.evaluations import answers_of
from command_line.trainings.fold_runs import divide_in_folds, fold_members
from command_line.trainings.member_runs import train_members
from command_line.trainings.refused_options import refuse_options
from command_line.trainings.typed import Typed
from datamodules import ImageDataModule, ImageFolderDataModule
from datamodules.files.text_files import encode_lines
from results.evaluation.answer_table import answers_csv, read_evaluation
from results.evaluation.answers import Evaluation
from results.evaluation.suspects import Suspects, confidently_wrong, suspects
from results.report.doubts_page import doubts_page
from results.tables import write_csv
from runs.commands import shown
from runs.whole_file import write_atomically

_EXCLUDE, _RELABEL = "exclude.txt", "relabel.csv"
_DOUBTED: tuple[Literal["train", "val"], ...] = ("train", "val")
_SURE = 0.5  # share of right answers, below which most doubts are the networks' own mistakes


def doubts(data: ImageDataModule, typed: Typed, folds: int, output: Path, pictures: int) -> None:
    """Train on all folds but one at a time, and compare the labels of each with the answers of its network.

    Args:
        data: The data.
        typed: What was typed, options of ``fit`` that the trainings have among it.
        folds: Number of folds.
        output: Folder for the runs, ``doubts.html``, ``out_of_fold.csv``, ``exclude.txt`` and ``relabel.csv``.
        pictures: How many doubtful labels the page shows.

    Raises:
        MisconfigurationException: If the data set can't be divided in folds, lists a file twice, or has changed since
            the first training.
    """
    refuse_options("doubts", typed)
    data = divide_in_folds(data, folds, "doubts")
    expected = _files_of(data)
    runs = train_members(fold_members(folds), typed, typed.without("folds", "output", "pictures"), output)
    evaluation = read_evaluation([answers_of(run) for run in runs], data.class_names)
    if not {*evaluation.files} <= expected or len({*evaluation.files}) < len(evaluation.files):
        raise MisconfigurationException(
            f"The data set has changed since the trainings in {output} began: choose another --output."
        )
    found = suspects(evaluation.best, evaluation.labels)
    write_csv(output / "out_of_fold.csv", answers_csv(evaluation))
    before = _before(data)
    excluded, relabelled = _write_lists(data, evaluation, found, before, output)
    page = output / "doubts.html"
    write_atomically(page, doubts_page(evaluation, found, read_or_none, data.layout.base, before, pictures))
    unanswered = len(expected) - len(evaluation.files)
    right = float(evaluation.best.hits(evaluation.labels).mean())
    lines = [f"{len(found.rows)} of {len(evaluation.files)} labels are doubtful ({folds} folds)"]
    lines.append(
        f"the networks give {100 * right:.1f} % of the images their label, having seen none of them in training"
    )
    if right < _SURE:
        lines.append("that is too little to believe this list: train longer, on larger images or with better weights")
    if unanswered:
        lines.append(f"{unanswered} images couldn't be read")
    lines.append(f"page to decide on each: {shown(page)}")
    if len(found.rows):
        lines.append(f"to leave all of them out: --data.exclude {shown(excluded)}")
        lines.append(f"to take the networks' classes: --data.corrected_labels {shown(relabelled)}")
    print("\n" + "\n".join(lines), flush=True)  # noqa: T201 - the result


def _files_of(data: ImageFolderDataModule) -> set[str]:
    """List what is to be answered, each file once: before hours of training, since answers are known by their file."""
    counts = Counter(chain.from_iterable(data.samples(split).files.tolist() for split in _DOUBTED))
    twice = [file for file, times in counts.items() if times > 1]
    if twice:
        raise MisconfigurationException(
            f"{data.layout.folder} lists {len(twice)} photographs more than once, such as {twice[0]}, perhaps with "
            "several boxes: doubts tells labels apart by the photograph, so list each once, or save what is in each "
            "box as a file of its own."
        )
    return {*counts}


def _before(data: ImageFolderDataModule) -> tuple[list[str], dict[str, str]]:
    """List what the user's own lists leave out and correct already."""
    base, names = data.layout.base, data.class_names
    excluded = [os.path.relpath(file, base) for file in sorted(data.amendments.excluded)]
    return excluded, {os.path.relpath(file, base): names[index] for file, index in data.amendments.labels.items()}


def _write_lists(
    data: ImageFolderDataModule,
    evaluation: Evaluation,
    found: Suspects,
    before: tuple[list[str], dict[str, str]],
    folder: Path,
) -> tuple[Path, Path]:
    """Write both lists, each with what the user's own list has already, as far as it isn't doubtful again."""
    base, names, best = data.layout.base, evaluation.class_names, evaluation.best
    paths = [os.path.relpath(evaluation.files[row], base) for row in found.rows.tolist()]
    text = io.StringIO()
    writer = csv.writer(text)
    also = confidently_wrong(best, evaluation.labels, len(names))
    writer.writerow(["path", "label", "label_before", "probability", "probability_before", "confident_learning"])
    doubtful = {*paths}
    writer.writerows([path, label, *[""] * 4] for path, label in before[1].items() if path not in doubtful)
    for row, rival, path in zip(found.rows.tolist(), found.rivals.tolist(), paths, strict=True):
        odds = [f"{best.confidence[row]:.4f}", f"{best.of_truth[row]:.4f}"]
        writer.writerow([path, names[rival], names[evaluation.labels[row]], *odds, int(also[row])])
    title = f"# Doubtful labels of {base.resolve()}; to be used as data.exclude.\n"
    excluded = title + encode_lines([*before[0], *sorted(paths)])
    return _keep(folder / _EXCLUDE, excluded), _keep(folder / _RELABEL, text.getvalue())


def _keep(path: Path, text: str) -> Path:
    """Write a list, beside one that somebody has changed."""
    names = (path if number == 1 else path.with_stem(f"{path.stem}-{number}") for number in count(1))
    content = text.encode(errors="surrogateescape")
    free = next(name for name in names if not name.exists() or name.read_bytes() == content)
    write_atomically(free, text)
    return free
