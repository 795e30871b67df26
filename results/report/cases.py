"""Chooses the pictures of a report and their captions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from results.evaluation.answers import Evaluation
from results.evaluation.suspects import suspects
from results.report.pictures import Pixels, data_uri, heat_uri, seen_by_network

Picture: TypeAlias = tuple[Pixels, Pixels] | None
Rows: TypeAlias = npt.NDArray[np.int64]
_FEWER = 2  # pairs of classes show two pictures each
HEATED = "where the network looked"  # the caption of pictures with heat maps


class Photo(NamedTuple):
    """A picture on the page.

    Attributes:
        image: A ``data:`` URI; None if it can't be read.
        caption: What it shows.
    """

    image: str | None
    caption: str


@dataclass
class Case:
    """One or two pictures with what was answered.

    Attributes:
        lines: Label, name of a class, its probability and ``right`` or ``wrong``, of each line.
        paths: Paths of the pictures.
        photos: The pictures.
    """

    lines: list[tuple[str, str, float | None, str]]
    paths: list[str]
    photos: list[Photo] = field(default_factory=list)


class Chosen(NamedTuple):
    """Which rows of an evaluation are shown.

    Attributes:
        confused: Pairs of a mistake and a picture that was correctly given the mistaken class, or -1.
        mistakes: The most confident mistakes.
        doubtful: The least confident right answers.
        suspects: Suspected wrong labels.
    """

    confused: list[tuple[int, int, int]]
    mistakes: Rows
    doubtful: Rows
    suspects: Rows


def choose(evaluation: Evaluation, limit: int) -> Chosen:
    """Choose the pictures.

    Args:
        evaluation: The answers.
        limit: How many of each kind.

    Returns:
        Rows of the evaluation; of confused pairs of classes the number of times too.
    """
    answers, labels = evaluation.best, evaluation.labels
    hits, sure = answers.hits(labels), answers.confidence
    wrong, right = np.nonzero(~hits)[0], np.nonzero(hits)[0]
    predicted = answers.classes[:, 0]
    pairs, counts = np.unique(np.stack([labels[wrong], predicted[wrong]]), axis=1, return_counts=True)
    confused = []
    for index in np.argsort(-counts, kind="stable")[: -(-limit // _FEWER)].tolist():
        true, answer = pairs[:, index]
        mistakes = wrong[(labels[wrong] == true) & (predicted[wrong] == answer)]
        examples = right[labels[right] == answer]
        example = int(examples[sure[examples].argmax()]) if len(examples) else -1
        confused.append((int(mistakes[sure[mistakes].argmax()]), example, int(counts[index])))
    return Chosen(
        confused,
        wrong[np.argsort(-sure[wrong], kind="stable")][:limit],
        right[np.argsort(sure[right], kind="stable")][:limit],
        suspects(answers, labels).rows,
    )


def make_cases(
    evaluation: Evaluation,
    chosen: Chosen,
    limit: int,
    picture: Callable[[int], Picture],
    heat: Callable[[Sequence[Pixels], Sequence[int]], list[npt.NDArray[np.float32]]] | None,
) -> dict[str, list[Case]]:
    """Make the cases of a page.

    Args:
        evaluation: The answers.
        chosen: What ``choose`` returned.
        limit: How many suspects to show.
        picture: Reads the picture of a row: as it is, and as the network is given it; None if it can't be read.
        heat: Computes heat maps of what the network is given, for a class each; None makes none.

    Returns:
        Cases of ``confused``, ``mistakes``, ``doubtful`` and ``suspects``.
    """
    answers, names, labels = evaluation.best, evaluation.class_names, evaluation.labels

    def lines(row: int) -> list[tuple[str, str, float | None, str]]:
        answer, truth = int(answers.classes[row, 0]), int(labels[row])
        given = ("answer", names[answer], float(answers.confidence[row]), "right" if answer == truth else "wrong")
        return [given] if answer == truth else [given, ("label", names[truth], float(answers.of_truth[row]), "")]

    def photos(rows: Sequence[int]) -> Iterator[list[Photo]]:
        for row in rows:
            found = picture(row)
            if found is None:
                yield [Photo(None, "")]
                continue
            original, pixels = found
            shown = [Photo(data_uri(original), "")]
            if heat is not None:
                (heat_map,) = heat([pixels], [int(answers.classes[row, 0])])
                seen = seen_by_network(original, pixels)
                shown.append(Photo(heat_uri(seen, heat_map), HEATED))
            yield shown

    def plain(row: int, caption: str) -> Photo:
        found = picture(row)
        return Photo(None if found is None else data_uri(found[0]), caption)

    cases: dict[str, list[Case]] = {"confused": [], "suspects": []}
    for mistake, example, times in chosen.confused:
        answer, truth = int(answers.classes[mistake, 0]), int(labels[mistake])
        often = "once" if times == 1 else f"{times} times"
        case = Case([(often, names[truth], None, ""), ("taken for", names[answer], None, "wrong")], [])
        for row in (mistake, example) if example >= 0 else (mistake,):
            caption = f"{names[labels[row]]}: answer {100 * answers.confidence[row]:.1f} %"
            if row == mistake:
                caption += f", label {100 * answers.of_truth[row]:.1f} %"
            case.photos.append(plain(row, caption))
            case.paths.append(evaluation.files[row])
        cases["confused"].append(case)
    for kind, rows in (("mistakes", chosen.mistakes), ("doubtful", chosen.doubtful)):
        made = zip(rows.tolist(), photos(rows.tolist()), strict=True)
        cases[kind] = [Case(lines(row), [evaluation.files[row]], shown) for row, shown in made]
    for row in chosen.suspects[:limit].tolist():
        cases["suspects"].append(Case(lines(row), [evaluation.files[row]], [plain(row, "")]))
    return cases
