"""Draws mistakes side by side."""

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.figures.figure_text import drawn_names
from results.report.pictures import Pixels

_COLUMNS = 4
_NAME = 34  # columns of a terminal that the name of a class takes


def mistakes_figure(mistakes: Sequence[tuple[Pixels, str, str, float]]) -> Figure:
    """Draw pictures with what was answered and what they are.

    Args:
        mistakes: Picture, uint8 of shape (height, width, 3), answer, true class and the answer's probability of each;
            at least one.

    Returns:
        The figure. It belongs to no window and need not be closed.
    """
    rows = -(-len(mistakes) // _COLUMNS)
    figure = Figure(figsize=(3.2 * _COLUMNS, 2.9 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    answers, style = drawn_names([answer for _, answer, _, _ in mistakes], _NAME)
    truths, _ = drawn_names([truth for _, _, truth, _ in mistakes], _NAME)
    for axes in places:
        axes.set_axis_off()
    for axes, (pixels, _, _, probability), answer, truth in zip(places, mistakes, answers, truths, strict=False):
        axes.imshow(pixels)
        axes.set_title(f"{answer} {100 * probability:.0f} %\nlabel: {truth}", fontsize=8, **style)
    return figure
