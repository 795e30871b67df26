"""Compares what runs answered to the same pictures."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from scipy.stats import binomtest

from results.evaluation.intervals import Interval, share
from results.evaluation_folders import (
    EvaluationFolder,
    data_root,
    evaluation_folders,
    is_same_place,
    own_before_others,
)
from runs.commands import address, next_command
from runs.run import Run

_DRAWS = 2000
_ANSWERS = "predictions.csv"


class Given(NamedTuple):
    """What a run answered to a picture.

    Attributes:
        label: The true class.
        answer: The most probable class.
        probability: Its probability.
    """

    label: str
    answer: str
    probability: float


@dataclass(frozen=True)
class Compared:
    """A run beside the first one, on the pictures that all have seen.

    Attributes:
        accuracy: Its accuracy.
        difference: Its accuracy minus the first run's; None for the first.
        won: Pictures that it alone answers correctly of the two.
        lost: Pictures that the first alone answers correctly.
        probability: Of numbers won and lost that are at least as unequal, if neither were better: McNemar's exact test
            (1947).
    """

    accuracy: Interval
    difference: Interval | None = None
    won: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    probability: float | None = None


class CommonAnswers(NamedTuple):
    """Answers of runs to the same pictures.

    Attributes:
        tables: ``predictions.csv`` of each run.
        place: Where the data lie, if those aren't the first run's own.
        validation: Whether these are validations, by which the best epochs were chosen.
    """

    tables: list[Path]
    place: str | None
    validation: bool


def common_answers(runs: Sequence[Run]) -> CommonAnswers:
    """Find the answers of tests on the same data: the newest that all runs have on the first one's own, or on others.

    Args:
        runs: The runs, at least one.

    Returns:
        Those of tests, or of validations where not all have been tested on the same data.

    Raises:
        MisconfigurationException: If one has none.
    """
    own = data_root(runs[0].config)
    found = {kind: [evaluation_folders(run, kind, _ANSWERS, own) for run in runs] for kind in ("test", "validate")}
    for kind in found:
        first, *others = found[kind]
        for one in own_before_others(first):
            same = [next((other for other in each if _on_same(one, other)), None) for each in others]
            if all(same):
                chosen = [one, *filter(None, same)]
                place = one.root if one.elsewhere else None
                return CommonAnswers([each.folder / _ANSWERS for each in chosen], place, kind == "validate")
    kind = "test" if any(found["test"]) else "validate"
    for run, tests in zip(runs, found[kind], strict=True):
        if not tests:
            raise MisconfigurationException(
                f"The run {address(run.folder)} has no {_ANSWERS} of a test yet: {next_command('test', run.folder)}"
            )
    return CommonAnswers([tests[0].folder / _ANSWERS for tests in found[kind]], None, kind == "validate")


def _on_same(one: EvaluationFolder, other: EvaluationFolder) -> bool:
    return one.root is None or other.root is None or is_same_place(one.root, other.root)


def read_answers(file: Path, views: bool) -> dict[str, Given]:
    """Read the answers of an evaluation.

    Args:
        file: Its ``predictions.csv``.
        views: Whether to take those over several views.

    Returns:
        Answers by absolute path; behind that of a further box of the same photograph stands its number.
    """
    prefix = "tta_" if views else ""
    answers: dict[str, Given] = {}
    mentions: Counter[str] = Counter()
    with file.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as rows:
        for row in csv.DictReader(rows):
            path = os.path.abspath(row["file"])  # noqa: PTH100 - resolve() would follow links
            mentions[path] += 1
            name = path if mentions[path] == 1 else f"{path} ({mentions[path]})"
            given = (row["class"], row[f"{prefix}class_1"], float(row[f"{prefix}probability_1"]))
            answers[name] = Given(*given)
    return answers


def has_views(file: Path) -> bool:
    """Check whether an evaluation has answers over several views.

    Args:
        file: Its ``predictions.csv``.

    Returns:
        Whether it has.
    """
    with file.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as rows:
        return "tta_class_1" in next(csv.reader(rows), [])


def compare_answers(answers: Sequence[dict[str, Given]]) -> tuple[list[str], list[Compared]]:
    """Compare runs with the first of them.

    Args:
        answers: Answers of each run, by path.

    Returns:
        The pictures that all have seen, and each run's part.

    Raises:
        MisconfigurationException: If no picture was seen by all, or one has several labels.
    """
    files = [file for file in answers[0] if all(file in other for other in answers[1:])]
    if not files:
        raise MisconfigurationException(
            "The runs were evaluated on different pictures: test them on the same data (--data.root)."
        )
    for file in files:
        labels = {given[file].label for given in answers}
        if len(labels) > 1:
            raise MisconfigurationException(
                f"The runs have different labels of {file}: {', '.join(sorted(labels))}. Test them on the same data."
            )
    hits = np.array([[given[file].answer == given[file].label for file in files] for given in answers])
    drawn = np.random.default_rng(0).integers(len(files), size=(_DRAWS, len(files)))
    means = np.array([row[drawn].mean(axis=1) for row in hits])
    compared = [Compared(share(hits[0]))]
    for number in range(1, len(answers)):
        won, lost = hits[number] & ~hits[0], hits[0] & ~hits[number]
        changed = int(won.sum() + lost.sum())
        compared.append(
            Compared(
                share(hits[number]),
                _interval(hits[number].mean() - hits[0].mean(), means[number] - means[0]),
                [file for file, flag in zip(files, won, strict=True) if flag],
                [file for file, flag in zip(files, lost, strict=True) if flag],
                float(binomtest(int(won.sum()), changed).pvalue) if changed else 1.0,
            )
        )
    return files, compared


def _interval(score: float, values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(score), float(low), float(high))
