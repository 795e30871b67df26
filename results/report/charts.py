"""The charts of a report, as drawings that take on the colours of the page."""

import io
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter

from results.evaluation.calibration import Reliability
from results.evaluation.coverage import Coverage
from results.evaluation.intervals import Interval
from results.figures.figure_text import drawn_names

Shares: TypeAlias = npt.NDArray[np.float64]

_BLUE, _ORANGE, _GREEN = "#3b7ddd", "#e07b39", "#3f9d5a"
_INK = "#123456"  # stands for the colour of the page's text


def reliability_chart(sides: dict[str, Reliability]) -> str:
    """Draw how often answers are right over how sure they are.

    Args:
        sides: One or two sets of bins, by title.

    Returns:
        SVG.
    """
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=":")
    for (title, bins), colour in zip(sides.items(), (_BLUE, _ORANGE), strict=False):
        known = bins.counts > 0
        sizes = 12 + 160 * bins.counts[known] / bins.counts.sum()
        axes.plot(bins.confidence[known], bins.accuracy[known], color=colour, linewidth=1)
        axes.scatter(bins.confidence[known], bins.accuracy[known], sizes, color=colour, alpha=0.8, label=title)
    axes.set(xlabel="probability of the answer", ylabel="share of right answers", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(loc="upper left", frameon=False, labelcolor=_INK)
    return _svg(figure)


def coverage_chart(sides: dict[str, Coverage]) -> str:
    """Draw the accuracy over the share of pictures that are answered.

    Args:
        sides: One or two curves, by title.

    Returns:
        SVG.
    """
    figure, axes = _axes()
    for (title, curve), colour in zip(sides.items(), (_BLUE, _ORANGE), strict=False):
        _thinned(axes, curve.coverage, curve.accuracy, title, colour)
    axes.set(xlabel="share of pictures answered, the surest first", ylabel="accuracy", xlim=(0, 1))
    axes.set_ylim(top=1.005)
    axes.legend(loc="lower left", frameon=False, labelcolor=_INK)
    return _svg(figure)


def separation_chart(scores: dict[str, tuple[Shares, Shares]]) -> str:
    """Draw the share of unknown pictures that are refused over the share of known ones that are answered.

    Args:
        scores: Up to three pairs of shares, by title.

    Returns:
        SVG.
    """
    figure, axes = _axes()
    axes.plot([0, 1], [1, 0], color=_INK, linewidth=0.8, linestyle=":")
    for (title, (known, refused)), colour in zip(scores.items(), (_BLUE, _ORANGE, _GREEN), strict=False):
        _thinned(axes, known, refused, title, colour)
    axes.set(xlabel="known pictures answered", ylabel="unknown pictures refused", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.legend(loc="lower left", frameon=False, labelcolor=_INK)
    return _svg(figure)


def bar_chart(groups: dict[str, Interval]) -> str:
    """Draw shares with their intervals.

    Args:
        groups: The shares by name.

    Returns:
        SVG.
    """
    names, style = drawn_names(list(groups), 30)
    figure, axes = _axes(height=0.8 + 0.24 * len(groups))
    values = np.array([group.score for group in groups.values()])
    low, high = (np.array([group[index] for group in groups.values()]) for index in (1, 2))
    axes.barh(range(len(names)), values, color=_BLUE, height=0.6)
    axes.errorbar(values, range(len(names)), xerr=[values - low, high - values], fmt="none", color=_INK, linewidth=0.9)
    axes.set_yticks(range(len(names)), names, **style)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.6), xlabel="accuracy")
    return _svg(figure)


def curve_chart(title: str, curves: dict[str, dict[int, float]]) -> str:
    """Draw a curve of several runs.

    Args:
        title: What is drawn.
        curves: Values by optimizer step, by the run's name.

    Returns:
        SVG.
    """
    figure, axes = _axes()
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    names, style = drawn_names(list(curves), 40)
    lines = {}
    for place, (name, points) in enumerate(zip(names, curves.values(), strict=True)):
        if points:  # a run keeps its colour where another one has no such curve
            marker = "." if len(points) < 40 else ""
            (lines[name],) = axes.plot([*points], [*points.values()], linewidth=1.2, marker=marker, color=f"C{place}")
    axes.set(xlabel="optimizer step", ylabel=title)
    # each by its line: matplotlib leaves out labels that begin with _, and reads dollars as formulas
    legend = axes.legend([*lines.values()], [""] * len(lines), frameon=False, labelcolor=_INK)
    for text, name in zip(legend.get_texts(), lines, strict=True):
        text.set(**style)
        text.set_text(name)
    return _svg(figure)


def _thinned(axes: Axes, across: Shares, up: Shares, title: str, colour: str) -> None:
    """Draw a curve by 300 of its points at most, however many there are."""
    points = np.unique(np.linspace(0, len(across) - 1, 300).astype(int))
    axes.plot(across[points], up[points], color=colour, label=title)


def _axes(height: float = 3.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.set_facecolor("none")
    axes.tick_params(colors=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure, axes


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
