"""Draws confusion matrices that can be read with 8 classes and with 196."""

from itertools import groupby

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_ANNOTATED = 30  # classes up to which cells and names can be read


def confusion_figure(matrix: npt.NDArray[np.int64], class_names: list[str], title: str) -> Figure:
    """Draw a confusion matrix.

    Few classes get their names and a count in each cell. Many classes get a heat map, labelled by the first word of
    their names (the make), beside the pairs that are confused most.

    Args:
        matrix: Counts of shape (classes, classes); rows are true classes, columns predicted ones.
        class_names: Names in the order of the indices.
        title: Title of the figure.

    Returns:
        The figure. It belongs to no window and need not be closed.
    """
    rates = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    if len(class_names) <= _ANNOTATED:
        side = 3.5 + 0.5 * len(class_names)
        figure = Figure(figsize=(side + 1.2, side), layout="constrained")
        axes = figure.subplots()
        _draw_heat_map(axes, rates)
        _annotate(axes, matrix, rates, class_names)
    else:
        figure = Figure(figsize=(19, 11), layout="constrained")
        axes, pairs = figure.subplots(1, 2, width_ratios=[11, 4])
        _draw_heat_map(axes, rates)
        _label_by_first_word(axes, class_names)
        _draw_pairs(pairs, matrix, class_names)
    FigureCanvasAgg(figure)
    axes.set(xlabel="predicted", ylabel="true")
    figure.suptitle(title)
    return figure


def confused_pairs(matrix: npt.NDArray[np.int64], limit: int) -> list[tuple[int, int, int]]:
    """List the mistakes by how often they were made.

    Args:
        matrix: Counts of shape (classes, classes); rows are true classes.
        limit: Length of the list.

    Returns:
        (true class, predicted class, count), the most frequent first; mistakes never made are left out.
    """
    mistakes = matrix.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:limit]
    rows, columns = np.unravel_index(order, mistakes.shape)
    return [(int(i), int(j), int(mistakes[i, j])) for i, j in zip(rows, columns, strict=True) if mistakes[i, j]]


def _draw_heat_map(axes: Axes, rates: npt.NDArray[np.float64]) -> None:
    image = axes.imshow(rates, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true class")


def _annotate(
    axes: Axes, matrix: npt.NDArray[np.int64], rates: npt.NDArray[np.float64], class_names: list[str]
) -> None:
    axes.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right", rotation_mode="anchor")
    present = matrix.sum(axis=1) > 0
    true_names = [
        name if there else f"{name} (no images)" for name, there in zip(class_names, present.tolist(), strict=True)
    ]
    axes.set_yticks(range(len(class_names)), true_names)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if rates[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)


def _label_by_first_word(axes: Axes, class_names: list[str]) -> None:
    positions: list[float] = []
    labels, start = [], 0
    for word, members in groupby(class_names, key=lambda name: name.split()[0] if name.split() else ""):
        size = len(list(members))
        middle = start + (size - 1) / 2
        if not positions or middle - positions[-1] > len(class_names) / 90:  # nearer labels would overlap
            positions.append(middle)
            labels.append(word)
        if start:
            axes.axhline(start - 0.5, color="0.85", linewidth=0.4)
            axes.axvline(start - 0.5, color="0.85", linewidth=0.4)
        start += size
    axes.set_xticks(positions, labels, rotation=90, fontsize=7)
    axes.set_yticks(positions, labels, fontsize=7)


def _draw_pairs(axes: Axes, matrix: npt.NDArray[np.int64], class_names: list[str]) -> None:
    pairs = confused_pairs(matrix, limit=20)
    counts = [count for _, _, count in pairs]
    labels = [f"{class_names[true]}\n→ {class_names[predicted]}" for true, predicted, _ in pairs]
    axes.barh(range(len(pairs)), counts, color="tab:blue", height=0.6)
    axes.set_yticks(range(len(pairs)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="images", title="Most frequent mistakes (true → predicted)")
