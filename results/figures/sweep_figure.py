"""Draws what a search has tried."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from results.figures.figure_text import drawn_names

_COLUMNS = 3
_TICKS = 4
_MARGIN = 0.05
_LONGEST = 28  # characters of the name of a choice
_BROAD = 30  # characters of all names that fit side by side
_COLOURS = {"finished": "tab:blue", "pruned": "tab:gray"}


@dataclass(frozen=True)
class Tried:
    """A trial.

    Attributes:
        run: The name of its run.
        state: ``finished``, ``pruned``, ``running`` or ``failed``.
        score: Its score; of a pruned trial that of its last epoch.
        epochs: Epochs that were validated.
        minutes: How long it took.
        values: What was tried.
    """

    run: str
    state: str
    score: float | None
    epochs: int
    minutes: float
    values: dict[str, Any]


def sweep_figure(
    tried: Sequence[Tried],
    score: str,
    mode: Literal["min", "max"],
    options: Mapping[str, Any],
    importances: Mapping[str, float],
) -> Figure:
    """Draw the scores in the order of the trials, and over each option.

    Args:
        tried: The trials.
        score: What the score is called.
        mode: ``max`` if more is better.
        options: The options, each with its ``log`` where it has one.
        importances: Share of the score's variance by option; may be empty.

    Returns:
        The figure, which belongs to no window.
    """
    ordered = sorted(options, key=lambda key: -importances.get(key, 0))
    rows = ceil((1 + len(ordered)) / _COLUMNS)
    figure = Figure(figsize=(4.4 * min(_COLUMNS, 1 + len(ordered)), 3.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(rows, min(_COLUMNS, 1 + len(ordered)), squeeze=False).ravel()
    scored = [(number, one) for number, one in enumerate(tried, start=1) if one.score is not None]
    _draw_history(places[0], scored, mode)
    places[0].set(xlabel="trial", ylabel=score)
    for axes, key in zip(places[1:], ordered, strict=False):
        categories = getattr(options[key], "choices", None)
        for state, colour in _COLOURS.items():
            chosen = [one for _, one in scored if one.state == state]
            values = [one.values.get(key) for one in chosen]
            across = values if categories is None else [categories.index(value) for value in values]
            axes.plot(across, [one.score for one in chosen], "o", color=colour, alpha=0.7)
        if categories is not None:
            _name_choices(axes, categories)
            axes.set_xlim(-0.5, len(categories) - 0.5)
        else:
            _span(axes, options[key])
        axes.set(
            xlabel=key if key not in importances else f"{key} ({importances[key]:.0%} of the variance)", ylabel=score
        )
    for axes in places:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in places[1 + len(ordered) :]:
        axes.remove()
    return figure


def _name_choices(axes: Axes, choices: Sequence[Any]) -> None:
    """Write choices below an axis, aslant where they need more width."""
    names = [json.dumps(choice) if choice is None or isinstance(choice, bool) else str(choice) for choice in choices]
    shown, style = drawn_names(names, _LONGEST)
    axes.set_xticks(range(len(shown)), shown, **style)
    if len(shown) * max(map(len, shown)) > _BROAD:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")


def _span(axes: Axes, option: Any) -> None:
    """Let an axis span the range that is searched, whatever has been tried of it."""
    low, high = float(option.low), float(option.high)
    if getattr(option, "log", False):
        axes.set_xscale("log")
        axes.set_xlim(low * (low / high) ** _MARGIN, high * (high / low) ** _MARGIN)
        places = np.geomspace(low, high, _TICKS)
        axes.set_xticks(places, [f"{place:.2g}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())  # whose labels overlap where a range is narrow
    elif high > low:
        axes.set_xlim(low - _MARGIN * (high - low), high + _MARGIN * (high - low))


def _draw_history(axes: Axes, scored: Sequence[tuple[int, Tried]], mode: Literal["min", "max"]) -> None:
    """Draw each trial, and the best one so far."""
    for state, colour in _COLOURS.items():
        chosen = [(number, one.score) for number, one in scored if one.state == state]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), "o", color=colour, alpha=0.7, label=state)
    finished = [(number, one.score or 0.0) for number, one in scored if one.state == "finished"]
    if finished:
        numbers, scores = zip(*finished, strict=True)
        axes.step(
            numbers,
            [*accumulate(scores, max if mode == "max" else min)],
            where="post",
            color="tab:orange",
            label="best",
        )
        axes.legend(frameon=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
