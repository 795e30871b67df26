"""The table of answers that an evaluation leaves behind."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from results.evaluation.answers import Answers, Evaluation


def answers_csv(evaluation: Evaluation) -> str:
    """Write the answers as a table.

    Args:
        evaluation: The answers.

    Returns:
        CSV with a row for each picture: file, class (the true one), loss in nats, class_1, probability_1 and so on, and
        with several views the same of them: tta_loss, tta_class_1, ...
    """
    names = evaluation.class_names
    sides = {"tta_" * (title == "TTA"): answers for title, answers in evaluation.sides.items()}
    titles = ["file", "class"]
    for prefix, answers in sides.items():
        titles.append(f"{prefix}loss")
        for number in range(1, answers.classes.shape[1] + 1):
            titles += [f"{prefix}class_{number}", f"{prefix}probability_{number}"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(titles)
    losses = {prefix: answers.loss for prefix, answers in sides.items()}
    for row, file in enumerate(evaluation.files):
        cells = [file, names[evaluation.labels[row]]]
        for prefix, answers in sides.items():
            cells.append(f"{losses[prefix][row]:.6f}")
            for index, value in zip(answers.classes[row].tolist(), answers.probabilities[row].tolist(), strict=True):
                cells += [names[index], f"{value:.6f}"]
        writer.writerow(cells)
    return text.getvalue()


def read_evaluation(tables: Iterable[Path], class_names: Sequence[str]) -> Evaluation:
    """Read tables of answers, and put them together as one evaluation.

    Args:
        tables: Files that ``answers_csv`` wrote, all with answers over several views or all without.
        class_names: Names of the classes in the order of their indices.

    Returns:
        The answers; probabilities have the six digits of the table.
    """
    index_of = {name: index for index, name in enumerate(class_names)}
    rows: list[dict[str, str]] = []
    for table in tables:
        with table.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
            rows += csv.DictReader(file)

    def answers(prefix: str) -> Answers:
        numbers = range(1, 1 + sum(name.startswith(f"{prefix}class_") for name in rows[0]))
        classes = [[index_of[row[f"{prefix}class_{number}"]] for number in numbers] for row in rows]
        probabilities = [[float(row[f"{prefix}probability_{number}"]) for number in numbers] for row in rows]
        of_truth = np.exp(-np.array([float(row[f"{prefix}loss"]) for row in rows]))
        return Answers(np.array(classes), np.array(probabilities, dtype=np.float32), of_truth.astype(np.float32))

    return Evaluation(
        "val",
        [*class_names],
        [row["file"] for row in rows],
        np.arange(len(rows)),
        np.array([index_of[row["class"]] for row in rows]),
        answers(""),
        answers("tta_") if rows and "tta_class_1" in rows[0] else None,
    )
