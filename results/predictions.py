"""The results of ``predict``, as a file and as a table."""

import csv
import io
import json
from collections import Counter
from pathlib import PurePath
from typing import NamedTuple

from results.text_table import display_width, text_table

UNKNOWN = "unknown"


class Prediction(NamedTuple):
    """What was found out about a photograph.

    Attributes:
        file: The photograph.
        classes: The most probable classes with their probabilities, the best first; none if it couldn't be read.
        error: Why it couldn't be read; empty if it could.
        unknown: Whether the answer isn't sure enough to be given.
        score: How sure it is, where that isn't told by its probability.
    """

    file: str
    classes: list[tuple[str, float]]
    error: str = ""
    unknown: bool = False
    score: float | None = None

    @property
    def answer(self) -> str:
        """The most probable class, or ``unknown``; nothing if it couldn't be read."""
        return UNKNOWN if self.unknown else self.classes[0][0] if self.classes else ""


def as_csv(predictions: list[Prediction], top: int, with_answers: bool = False) -> str:
    """Write predictions as a table.

    Args:
        predictions: The predictions.
        top: How many classes a row names.
        with_answers: Whether to write a column ``answer``, which may be ``unknown``.

    Returns:
        CSV with the columns file, perhaps answer and score, class_1, probability_1, class_2, ..., error.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    titles = [f"{kind}_{number}" for number in range(1, top + 1) for kind in ("class", "probability")]
    with_scores = any(prediction.score is not None for prediction in predictions)
    writer.writerow(["file", *["answer"] * with_answers, *["score"] * with_scores, *titles, "error"])
    for prediction in predictions:
        cells = [cell for name, value in prediction.classes for cell in (name, f"{value:.6f}")]
        answer = [prediction.answer] * with_answers
        score = ["" if prediction.score is None else f"{prediction.score:.6f}"] * with_scores
        writer.writerow([prediction.file, *answer, *score, *cells, *[""] * (2 * top - len(cells)), prediction.error])
    return text.getvalue()


def as_json_lines(predictions: list[Prediction], with_answers: bool = False) -> str:
    """Write predictions as JSON lines, in which a byte of a name that isn't UTF-8 stands as a lone surrogate.

    Args:
        predictions: The predictions.
        with_answers: Whether to write ``answer``, which may be ``unknown``, as well.

    Returns:
        A line for each photograph, an object of ``file``, perhaps ``score``, ``predictions`` (objects of ``class`` and
        ``probability``) and ``error``, null if the photograph could be read.
    """
    lines = []
    for prediction in predictions:
        found = [{"class": name, "probability": round(value, 6)} for name, value in prediction.classes]
        answer = {"answer": prediction.answer or None} if with_answers else {}
        score = {} if prediction.score is None else {"score": round(prediction.score, 6)}
        line = {"file": prediction.file, **answer, **score, "predictions": found, "error": prediction.error or None}
        lines.append(json.dumps(line) + "\n")
    return "".join(lines)


def answer_lines(predictions: list[Prediction], width: int, limit: int = 20) -> list[str]:
    """Format the answers for a terminal.

    Args:
        predictions: The predictions.
        width: Columns of the terminal; the second best class is left out if it doesn't fit.
        limit: How many photographs to show.

    Returns:
        A table of the first ones, and a line on the others.
    """
    names = shortest_names([prediction.file for prediction in predictions])
    header, rows = ["photograph", "%", "class", "%", "second best"], []
    for name, prediction in zip(names, predictions[:limit], strict=False):
        best = [cell for title, value in prediction.classes[:2] for cell in (f"{100 * value:.1f}", title)]
        if prediction.unknown:
            best[1] = f"{UNKNOWN} ({best[1]}?)"
        rows.append([name, "", f"not read: {prediction.error}"] if prediction.error else [name, *best])
    lines = text_table(header, rows)
    answers = [display_width(line) for line, row in zip(lines[1:], rows, strict=True) if len(row) > 3]
    if not answers or max(answers) > width:
        lines = text_table(header[:3], [row[:3] for row in rows])
    more = len(predictions) - limit
    return [*lines, f"... and {more} more"] if more > 0 else lines


def shortest_names(files: list[str]) -> list[str]:
    """Name files without the folders that aren't needed to tell them apart.

    Args:
        files: Paths, all different.

    Returns:
        The last part of each, and the folders above where others end alike.
    """
    parts = [PurePath(file).parts for file in files]
    depths = [1] * len(files)
    open_ends = set(range(len(files)))
    names = files
    while open_ends:
        names = [str(PurePath(*part[-depth:])) for part, depth in zip(parts, depths, strict=True)]
        counts = Counter(names)
        open_ends = {index for index in open_ends if counts[names[index]] > 1 and depths[index] < len(parts[index])}
        for index in open_ends:
            depths[index] += 1
    return names
