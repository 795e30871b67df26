"""Writes a confusion matrix and its scores by class as tables."""

import csv
import io

import numpy as np

from results.confusion import Matrix, cells, class_counts, worst_mistakes

DENSE = 1000  # classes up to which a matrix is written with a column for each, as a spreadsheet can show it


def report_csv(matrix: Matrix, class_names: list[str]) -> str:
    """Write precision, recall and F1 of each class, worst F1 first; classes without images follow.

    Args:
        matrix: Counts of shape (classes, classes), dense or sparse; rows are true classes.
        class_names: Names in the order of the indices.

    Returns:
        CSV with the columns class, images, precision, recall, f1, most_confused_with and times. A ratio without
        denominator is 0, and empty for a class that is neither present nor predicted: the mean of a column is the
        macro average.
    """
    hits, true, predicted = class_counts(matrix)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    worst = worst_mistakes(matrix)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["class", "images", "precision", "recall", "f1", "most_confused_with", "times"])
    occurs = true + predicted > 0
    for index in np.lexsort((f1, ~occurs, true == 0)).tolist():
        mistake = [class_names[worst[index][0]], worst[index][1]] if index in worst else ["", 0]
        ratios = [f"{values[index]:.4f}" if occurs[index] else "" for values in (precision, recall, f1)]
        writer.writerow([class_names[index], true[index], *ratios, *mistake])
    return text.getvalue()


def matrix_csv(matrix: Matrix, class_names: list[str]) -> str:
    """Write a confusion matrix.

    Args:
        matrix: As in ``report_csv``.
        class_names: Names in the order of the indices.

    Returns:
        CSV with a row for each true class and a column for each predicted one. Of more than 1,000 classes, where that
        would take more than a million cells, a row for each pair that occurs, with the columns true, predicted and
        count, right predictions among them.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    found = cells(matrix)
    if len(class_names) > DENSE:
        writer.writerow(["true", "predicted", "count"])
        for true, predicted, count in zip(*(part.tolist() for part in found), strict=True):
            writer.writerow([class_names[true], class_names[predicted], count])
        return text.getvalue()
    dense = np.zeros((len(class_names), len(class_names)), dtype=np.int64)
    dense[found[0], found[1]] = found[2]
    writer.writerow(["true \\ predicted", *class_names])
    for name, row in zip(class_names, dense.tolist(), strict=True):
        writer.writerow([name, *row])
    return text.getvalue()
