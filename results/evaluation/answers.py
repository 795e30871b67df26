"""The answers to the pictures of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """The answers of a network, picture by picture, plain or over several views.

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
        """Find which first answers are right.

        Args:
            labels: True classes, int64 of shape (pictures,).

        Returns:
            Flags of shape (pictures,).
        """
        return np.asarray(self.classes[:, 0] == labels)


@dataclass(frozen=True)
class UnknownPictures:
    """What was answered to pictures that show none of the classes.

    Attributes:
        files: The pictures.
        answers: The most probable class of each.
        certainties: How sure the answers are, by the kind of score, floats of shape (pictures,).
        source: What they are called.
        unread: Pictures that couldn't be read, and why.
    """

    files: list[str]
    answers: list[str]
    certainties: dict[str, Floats]
    source: str
    unread: dict[str, str] = field(default_factory=dict)


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
        logit_scores: Other scores of how sure the plain answers are, by name, float32 of shape (pictures,).
        unknown: Pictures of none of the classes; None if there are none.
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
    logit_scores: Mapping[str, Floats] = field(default_factory=dict)
    unknown: UnknownPictures | None = None

    @property
    def certainties(self) -> dict[str, Floats]:
        """How sure the answers are, by the kind of score: the probability of ``best``, and ``logit_scores``."""
        return {"probability": self.best.confidence, **self.logit_scores}

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
