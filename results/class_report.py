"""Writes what a confusion matrix says as tables."""

import csv
import io

import numpy as np
import numpy.typing as npt

from results.confusion_figure import confused_pairs


def report_csv(matrix: npt.NDArray[np.int64], class_names: list[str]) -> str:
    """Write precision, recall and F1 of each class, worst F1 first; classes without images follow.

    Args:
        matrix: Counts of shape (classes, classes); rows are true classes.
        class_names: Names in the order of the indices.

    Returns:
        CSV with the columns class, images, precision, recall, f1, most_confused_with and times. A ratio without
        denominator is 0, and empty for a class that is neither present nor predicted: the mean of a column is the
        macro average.
    """
    hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["class", "images", "precision", "recall", "f1", "most_confused_with", "times"])
    occurs = true + predicted > 0
    for index in np.lexsort((f1, ~occurs, true == 0)):
        row = np.zeros_like(matrix)
        row[index] = matrix[index]
        worst = confused_pairs(row, limit=1)
        mistake = [class_names[worst[0][1]], worst[0][2]] if worst else ["", 0]
        ratios = [f"{values[index]:.4f}" if occurs[index] else "" for values in (precision, recall, f1)]
        writer.writerow([class_names[index], true[index], *ratios, *mistake])
    return text.getvalue()


def matrix_csv(matrix: npt.NDArray[np.int64], class_names: list[str]) -> str:
    """Write a confusion matrix.

    Args:
        matrix: Counts of shape (classes, classes); rows are true classes.
        class_names: Names in the order of the indices.

    Returns:
        CSV with a row for each true class and a column for each predicted one.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["true \\ predicted", *class_names])
    for name, row in zip(class_names, matrix, strict=True):
        writer.writerow([name, *row.tolist()])
    return text.getvalue()
