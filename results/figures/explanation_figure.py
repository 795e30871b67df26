"""Draws photographs beside where a network looked, and what it answered."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.figures.figure_text import drawn_names
from results.predictions import shortest_names
from results.report.pictures import Pixels, seen_by_network, with_heat

_NAME = 34  # columns of a terminal that the name of a class takes
_HEIGHT = 2.3  # inches of a row


class Explanation(NamedTuple):
    """What a network makes of a photograph.

    Attributes:
        file: The photograph.
        original: Its pixels, uint8 of shape (height, width, 3).
        pixels: What the network is given, uint8 of shape (side, side, 3).
        heat: Where most speaks for the first answer, floats from 0 to 1 of shape (rows, columns).
        classes: The most probable classes with their probabilities, the best first.
    """

    file: str
    original: Pixels
    pixels: Pixels
    heat: npt.NDArray[np.float32]
    classes: list[tuple[str, float]]


def explanation_figure(explained: Sequence[Explanation]) -> Figure:
    """Draw a row for each photograph: the photograph, the heat map over it, and bars of the answers.

    Args:
        explained: The photographs, at least one.

    Returns:
        The figure. It belongs to no window and need not be closed.
    """
    figure = Figure(figsize=(12, _HEIGHT * len(explained) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(explained), 3, width_ratios=[1, 1, 1.1], squeeze=False)
    files, style = drawn_names(shortest_names([explanation.file for explanation in explained]), 40)
    for axes, explanation, file in zip(rows, explained, files, strict=True):
        seen = seen_by_network(explanation.original, explanation.pixels)
        axes[0].imshow(explanation.original)
        axes[0].set_title(file, fontsize=9, **style)
        axes[1].imshow(with_heat(seen, explanation.heat))
        axes[1].set_title("where the network looked", fontsize=9)
        for picture in axes[:2]:
            picture.set_axis_off()
        names, name_style = drawn_names([name for name, _ in explanation.classes], _NAME)
        values = [value for _, value in explanation.classes]
        bars = axes[2].barh(
            range(len(values)), values, color=["tab:blue", *["tab:gray"] * (len(values) - 1)], height=0.6
        )
        axes[2].bar_label(bars, [f"{100 * value:.1f} %" for value in values], padding=3, fontsize=8)
        axes[2].set_yticks(range(len(names)), names, fontsize=8, **name_style)
        axes[2].invert_yaxis()
        axes[2].set(xlim=(0, 1.18), xticks=[])
        axes[2].spines[["top", "right", "bottom"]].set_visible(False)
    return figure
