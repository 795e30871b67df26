"""Draws originals beside their augmented views."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
    for line, (name, original, views) in zip(grid, rows, strict=True):
        for axes, picture in zip(line, (original, *views), strict=True):
            axes.imshow(picture)
            axes.set_axis_off()
        line[0].set_title(name, fontsize=8, loc="left")
        line[1].set_title(f"{views[0].shape[1]} x {views[0].shape[0]}", fontsize=8, color="gray")
    return figure
