"""How well a score of certainty separates pictures of known classes from others."""

import csv
import io
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from results.evaluation.answers import UnknownPictures
from results.text_table import printable

Scores: TypeAlias = npt.NDArray[np.floating[Any]]


class Separation(NamedTuple):
    """How a score separates known classes from unknown ones, for every threshold.

    Attributes:
        auroc: Area under the receiver operating characteristic: how often a known picture has a higher score than an
            unknown one.
        known: The share of known pictures that are answered, rising, float64 of shape (points,).
        refused: The share of unknown pictures that are not, float64 of shape (points,).
    """

    auroc: float
    known: npt.NDArray[np.float64]
    refused: npt.NDArray[np.float64]

    def refused_at(self, share: float) -> float:
        """Find the share of unknown pictures that are refused.

        Args:
            share: At least this share of the known ones is answered.

        Returns:
            The share.
        """
        return float(self.refused[min(int(np.searchsorted(self.known, share - 1e-9)), len(self.known) - 1)])


def separation(known: Scores, unknown: Scores) -> Separation:
    """Compare the scores of known and unknown pictures.

    Args:
        known: Scores of pictures of the classes, floats of shape (n,), at least one.
        unknown: Scores of other pictures, floats of shape (m,), at least one.

    Returns:
        How they differ; at each threshold, pictures with that score or a higher one are answered.
    """
    truth = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
    area = float(roc_auc_score(truth, np.concatenate([known, unknown])))
    thresholds = np.unique(known)[::-1]
    above = 1 - np.searchsorted(np.sort(known), thresholds) / len(known)
    refused = np.searchsorted(np.sort(unknown), thresholds) / len(unknown)
    return Separation(area, above, refused)


def unread_note(pictures: UnknownPictures) -> str:
    """Say how many pictures couldn't be read.

    Args:
        pictures: What was answered.

    Returns:
        A further part of a sentence; nothing if all could.
    """
    first = next(iter(pictures.unread.items()), None)
    if first is None:
        return ""
    file, error = first
    return f"; {len(pictures.unread)} more couldn't be read, the first: {printable(file)}: {error}"


def unknown_csv(pictures: UnknownPictures) -> str:
    """Write the answers to unknown pictures as a table.

    Args:
        pictures: The answers.

    Returns:
        CSV with the columns file, answer, probability, max_logit, normalized_logit and error; the last says why a
        picture couldn't be read.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file", "answer", *pictures.certainties, "error"])
    columns = [values.tolist() for values in pictures.certainties.values()]
    for file, answer, *values in zip(pictures.files, pictures.answers, *columns, strict=True):
        writer.writerow([file, answer, *(f"{value:.6f}" for value in values), ""])
    for file, error in pictures.unread.items():
        writer.writerow([file, "", *("" for _ in pictures.certainties), error])
    return text.getvalue()
