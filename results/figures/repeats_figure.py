"""Draws the scores of trainings that differ only by seed or fold."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.repeats import spread_of


def repeats_figure(
    curves: Mapping[str, Mapping[int, float]], title: str, scores: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw the curves of all runs, and beside them their scores with mean and interval.

    Args:
        curves: Values by optimizer step, by the run's name.
        title: What the curves show.
        scores: Scores of all runs, by name.

    Returns:
        The figure, which belongs to no window.
    """
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name, curve in curves.items():
        left.plot(list(curve), list(curve.values()), linewidth=1, marker="." if len(curve) < 40 else "", label=name)
    left.set(xlabel="optimizer step", ylabel=title)
    left.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if 0 < len(curves) <= 10:
        left.legend(frameon=False)
    _draw_scores(right, scores)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_scores(axes: Axes, scores: Mapping[str, Sequence[float]]) -> None:
    """Draw a column for each score: a dot for each run, and the mean with its interval."""
    for place, (name, values) in enumerate(scores.items()):
        spread = spread_of(values, name)
        axes.plot(np.linspace(place - 0.12, place + 0.12, len(values)), values, "o", color="tab:blue", alpha=0.6)
        if spread.low is not None and spread.high is not None:
            axes.vlines(place + 0.25, spread.low, spread.high, color="tab:orange", linewidth=2)
        axes.plot(place + 0.25, spread.mean, "D", color="tab:orange")
        axes.annotate(
            f"{spread.mean:.4f}", (place + 0.25, spread.mean), (6, 0), textcoords="offset points", va="center"
        )
    axes.set_xticks(range(len(scores)), [*scores])
    axes.set_xlim(-0.5, len(scores) - 0.1)
    axes.set_title("each run, and the mean with its 95 % interval")
