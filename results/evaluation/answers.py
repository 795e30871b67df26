"""The answers to the pictures of an evaluation, and the table of them."""

import csv
import io
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """What a network answered, picture by picture, plainly or over several views.

    Attributes:
        classes: The most probable classes, the best first, int64 of shape (pictures, k).
        probabilities: Theirs, float32 of shape (pictures, k).
        of_truth: Probability of the true class, float32 of shape (pictures,).
    """

    classes: Integers
    probabilities: Floats
    of_truth: Floats

    @property
    def confidence(self) -> Floats:
        """Probability of the first answer, float32 of shape (pictures,)."""
        return self.probabilities[:, 0]

    @property
    def loss(self) -> Floats:
        """Negative log-likelihood of the true class in nats, float32 of shape (pictures,)."""
        return np.asarray(-np.log(np.maximum(self.of_truth, np.finfo(np.float32).tiny)))

    def hits(self, labels: Integers) -> Flags:
        """Tell which first answers are right.

        Args:
            labels: True classes, int64 of shape (pictures,).

        Returns:
            Flags of shape (pictures,).
        """
        return np.asarray(self.classes[:, 0] == labels)


@dataclass(frozen=True)
class Evaluation:
    """The answers to a set of pictures whose classes are known.

    Attributes:
        stage: ``val`` or ``test``.
        class_names: Names of the classes in the order of their indices.
        files: The pictures.
        positions: Their numbers in the data set, int64 of shape (pictures,).
        labels: True classes, int64 of shape (pictures,).
        plain: What was answered to each picture as it is.
        tta: What was answered over several views; None if there were none.
        uncalibrated: Probability of the first plain answer without a temperature, float32 of shape (pictures,).
        temperature: What logits were divided by.
    """

    stage: str
    class_names: list[str]
    files: list[str]
    positions: Integers
    labels: Integers
    plain: Answers
    tta: Answers | None = None
    uncalibrated: Floats | None = None
    temperature: float = 1.0

    @property
    def sides(self) -> dict[str, Answers]:
        """The plain answers, and those over several views if there are any, by title."""
        return {"plain": self.plain, **({} if self.tta is None else {"TTA": self.tta})}

    @property
    def best(self) -> Answers:
        """The answers over several views, or the plain ones if there are no others."""
        return self.tta or self.plain

    def answer_and_truth(self, row: int) -> tuple[int, int]:
        """Return the first answer to a picture, and its true class."""
        return int(self.best.classes[row, 0]), int(self.labels[row])


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
