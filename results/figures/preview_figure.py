"""Draws originals beside their augmented views."""

import textwrap
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.figures.figure_text import drawn_names
from results.text_table import display_width

_LENGTH = 60  # columns of a terminal that a name takes at most
_LINE = 31  # columns that fit above a picture

Row: TypeAlias = tuple[str, npt.NDArray[np.uint8], list[npt.NDArray[np.uint8]]]


def preview_figure(rows: Sequence[Row]) -> Figure:
    """Draw a grid: a row for each image, the original first.

    Args:
        rows: Class name, original and views of each image; pictures are uint8 of shape (height, width, 3), RGB.

    Returns:
        The figure. It belongs to no window and need not be closed.
    """
    columns = 1 + len(rows[0][2])
    figure = Figure(figsize=(2.1 * columns, 2.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    names, style = drawn_names([name for name, _, _ in rows], _LENGTH)
    for line, name, (_, original, views) in zip(grid, names, rows, strict=True):
        for axes, picture in zip(line, (original, *views), strict=True):
            axes.imshow(picture)
            axes.set_axis_off()
        line[0].set_title(_in_lines(name), fontsize=8, loc="left", **style)
        line[1].set_title(f"{views[0].shape[1]} x {views[0].shape[0]}", fontsize=8, color="gray")
    return figure


def _in_lines(name: str) -> str:
    """Break a name that would run into the next title."""
    width = display_width(name)
    return name if width <= _LINE else "\n".join(textwrap.wrap(name, max(1, _LINE * len(name) // width)))
