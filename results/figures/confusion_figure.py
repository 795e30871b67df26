"""Draws confusion matrices that can be read with 8 classes, with 196 and with 10,000."""

from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.confusion import Counts, Matrix, class_counts, confused_pairs, most_confused, part_of
from results.figures.figure_text import drawn_names, is_right_to_left
from results.text_table import display_width

_ANNOTATED = 30  # classes up to which cells and names can be read
_HEAT_MAP = 1000  # classes up to which a cell is a pixel
_LENGTH = 60  # columns of a terminal that a name takes at most
_USUAL = 20  # and as many as fit beside a matrix
_ARROW = ("→", "\u200e→")  # with the mark that a line begins on the left
_INCHES = 0.083  # that a column takes at 10 points


def confusion_figure(matrix: Matrix, class_names: list[str], title: str) -> Figure:
    """Draw a confusion matrix.

    Few classes get their names and a count in each cell. Many classes get a heat map, labelled by the first word of
    their names (the make), beside the pairs that are confused most. Of more than 1,000, whose heat map would be a
    diagonal thinner than a pixel, the 30 classes of the most frequent mistakes are drawn like few, beside the pairs.

    Args:
        matrix: Counts of shape (classes, classes), dense or sparse; rows are true classes, columns predicted ones.
        class_names: Names in the order of the indices.
        title: Title of the figure.

    Returns:
        The figure. It belongs to no window and need not be closed.
    """
    names, style = drawn_names(class_names, _LENGTH)
    everything, (_, true, _) = np.arange(len(names)), class_counts(matrix)
    if len(names) <= _ANNOTATED:
        side = 3.5 + 0.5 * len(names)
        extra = _INCHES * max(0, *(display_width(name) - _USUAL for name in names))
        figure = Figure(figsize=(side + 1.2 + extra, side + 0.7 * extra), layout="constrained")
        axes = figure.subplots()
        _draw_few(axes, part_of(matrix, everything), true, names, style)
    else:
        figure = Figure(figsize=(19, 11), layout="constrained")
        axes, pairs = figure.subplots(1, 2, width_ratios=[11, 4])
        if len(names) <= _HEAT_MAP:
            _draw_heat_map(axes, part_of(matrix, everything) / np.maximum(true[:, None], 1))
            _label_by_first_word(axes, class_names)
        else:
            chosen = most_confused(matrix, _ANNOTATED)
            shown, style = drawn_names([class_names[index] for index in chosen], _LENGTH // 2)
            _draw_few(axes, part_of(matrix, chosen), true[chosen], shown, style)
            axes.set_title(f"the {len(chosen)} of {len(names)} classes with the most frequent mistakes")
        _draw_pairs(pairs, confused_pairs(matrix, limit=20), names, style)
    FigureCanvasAgg(figure)
    axes.set(xlabel="predicted", ylabel="true")
    figure.suptitle(title)
    return figure


def _draw_heat_map(axes: Axes, rates: npt.NDArray[np.float64]) -> None:
    image = axes.imshow(rates, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true class")


def _draw_few(axes: Axes, matrix: Counts, true: Counts, names: list[str], style: dict[str, Any]) -> None:
    """Draw cells with counts; ``true`` counts the images of each class, some of which may lie in no cell."""
    rates = matrix / np.maximum(true[:, None], 1)
    _draw_heat_map(axes, rates)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", **style)
    true_names = [name if there else f"{name} (no images)" for name, there in zip(names, true.tolist(), strict=True)]
    axes.set_yticks(range(len(names)), true_names, **style)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if rates[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)


def _label_by_first_word(axes: Axes, class_names: list[str]) -> None:
    positions: list[float] = []
    labels, start, ends = [], 0, []
    for word, members in groupby(class_names, key=lambda name: name.split()[0] if name.split() else ""):
        size = len(list(members))
        middle = start + (size - 1) / 2
        if not positions or middle - positions[-1] > len(class_names) / 90:  # nearer labels would overlap
            positions.append(middle)
            labels.append(word)
        if start:
            ends.append(start - 0.5)
        start += size
    for draw in (axes.hlines, axes.vlines):
        draw(ends, -0.5, len(class_names) - 0.5, color="0.85", linewidth=0.4)
    drawn, style = drawn_names(labels, _USUAL)
    axes.set_xticks(positions, drawn, rotation=90, fontsize=7, **style)
    axes.set_yticks(positions, drawn, fontsize=7, **style)


def _draw_pairs(axes: Axes, pairs: list[tuple[int, int, int]], names: list[str], style: dict[str, Any]) -> None:
    counts = [count for _, _, count in pairs]
    arrows = [_ARROW[is_right_to_left(names[predicted])] for _, predicted, _ in pairs]
    labels = [
        f"{names[true]}\n{arrow} {names[predicted]}" for (true, predicted, _), arrow in zip(pairs, arrows, strict=True)
    ]
    axes.barh(range(len(pairs)), counts, color="tab:blue", height=0.6)
    axes.set_yticks(range(len(pairs)), labels, fontsize=7, **style)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("images")
    axes.set_title("Most frequent mistakes (true → predicted)", loc="right")  # long names leave the axes little space
