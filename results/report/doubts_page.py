"""Shows doubtful labels beside examples of both classes, to decide on each."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from results.evaluation.answers import Evaluation
from results.evaluation.intervals import share
from results.evaluation.suspects import Suspects
from results.report.pictures import Pixels, data_uri
from results.report.templates import template


def doubts_page(
    evaluation: Evaluation,
    found: Suspects,
    picture: Callable[[str], Pixels | None],
    base: Path,
    before: tuple[Sequence[str], Mapping[str, str]],
    limit: int,
) -> str:
    """Make the page.

    Args:
        evaluation: The answers to images that weren't trained on.
        found: Those with doubtful labels.
        picture: Reads a file, RGB, uint8 of shape (height, width, 3); None if it can't be read.
        base: What paths are relative to.
        before: Paths that are left out already, and labels by path that are corrected already; what the page saves has
            them too.
        limit: How many of them to show.

    Returns:
        HTML, which needs no other file.
    """
    best, names = evaluation.best, evaluation.class_names
    hits = best.hits(evaluation.labels)
    examples = _examples(evaluation, {*found.rows.tolist()})

    @cache
    def thumbnail(row: int) -> str | None:
        pixels = picture(evaluation.files[row])
        return None if pixels is None else data_uri(pixels)

    shown: dict[int, str | None] = {}
    cases: list[dict[str, Any]] = []
    for row, rival in zip(found.rows[:limit].tolist(), found.rivals[:limit].tolist(), strict=True):
        label = int(evaluation.labels[row])
        for index in (label, rival):
            if index in examples and index not in shown:
                shown[index] = thumbnail(examples[index])
        cases.append(
            {
                "path": os.path.relpath(evaluation.files[row], base),
                "image": thumbnail(row),
                "label": names[label],
                "label_index": label,
                "label_probability": float(best.of_truth[row]),
                "rival": names[rival],
                "rival_index": rival,
                "rival_probability": float(best.confidence[row]),
            }
        )
    return template("doubts.html").render(
        title=f"Doubtful labels: {len(found.rows):,} of {len(hits):,}",
        accuracy=share(hits),
        classes=len(names),
        cases=cases,
        cases_for_script=[{key: case[key] for key in ("path", "label", "rival")} for case in cases],
        hidden=len(found.rows) - len(cases),
        examples={str(index): image for index, image in shown.items() if image},
        base=str(base),
        before={"excluded": [*before[0]], "labels": [*before[1].items()]},
    )


def _examples(evaluation: Evaluation, without: set[int]) -> dict[int, int]:
    """Find the image of each class that is most surely of that class."""
    best, hits = evaluation.best, evaluation.best.hits(evaluation.labels)
    examples: dict[int, int] = {}
    for row in (-best.confidence).argsort(kind="stable").tolist():
        if hits[row] and row not in without:
            examples.setdefault(int(evaluation.labels[row]), row)
    return examples
