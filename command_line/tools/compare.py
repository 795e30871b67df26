"""The command ``compare``: runs side by side, on the pictures that all of them have seen."""

import csv
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.tools.evaluated_pictures import read_or_none
from results.comparison import (
    Compared,
    Given,
    common_answers,
    compare_answers,
    has_views,
    read_answers,
)
from results.predictions import shortest_names
from results.report.charts import curve_chart
from results.report.pictures import data_uri
from results.report.templates import template
from results.run_table import FACTS, run_rows
from results.tables import write_csv
from results.text_table import text_table
from runs.commands import shown
from runs.curves import read_curve
from runs.finding import run_of
from runs.naming import claim_numbered
from runs.run import Run
from runs.whole_file import write_atomically

_PICTURES = 24
_CURVES = ("train/loss", "val/loss", "val/accuracy")


def compare(paths: Sequence[Path], output: Path) -> None:
    """Compare runs with the first one: scores with intervals, configs, curves, pictures won and lost.

    Args:
        paths: Folders of runs, at least two.
        output: Folder for ``comparison.html`` and ``comparison.csv``; if it exists, the new one gets a number.

    Raises:
        MisconfigurationException: If there are fewer runs, one twice or not tested, or they saw different pictures.
    """
    runs = [run for run in map(run_of, paths) if run is not None]
    if len(runs) < max(2, len(paths)):
        raise MisconfigurationException("compare needs the folders of two runs or more.")
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise MisconfigurationException("compare needs different runs, but one is named twice.")
    common = common_answers(runs)
    views = all(map(has_views, common.tables))
    answers = [read_answers(table, views) for table in common.tables]
    files, compared = compare_answers(answers)
    names = shortest_names([str(run.folder) for run in runs])
    differences = _differences(runs)
    folder = claim_numbered(output)
    write_csv(folder / "comparison.csv", _table(files, names, answers))
    subtitle = (
        f"{len(files):,} {'validation' if common.validation else 'test'} pictures that all runs have seen"
        f"{f' of {common.place}' if common.place else ''}, {'over several views (TTA)' if views else 'as they are'}"
    )
    write_atomically(folder / "comparison.html", _page(names, runs, subtitle, compared, answers, differences))
    lines = text_table(["run", "accuracy", "95 %", "difference", "95 %", "won", "lost", "p"], _rows(names, compared))
    lines += (
        ["", *text_table(["config", *names], [[key, *values] for key, values in differences])] if differences else []
    )
    print("\n".join([*lines, "", subtitle, f"comparison: {shown(folder / 'comparison.html')}"]))  # noqa: T201 - the result


def _rows(names: Sequence[str], compared: Sequence[Compared]) -> list[list[str]]:
    rows = []
    for name, run in zip(names, compared, strict=True):
        row = [name, f"{run.accuracy.score:.4f}", f"{run.accuracy.low:.4f} to {run.accuracy.high:.4f}"]
        if run.difference is not None:
            score, low, high = run.difference
            row += [f"{score:+.4f}", f"{low:+.4f} to {high:+.4f}", str(len(run.won)), str(len(run.lost))]
            row.append(f"{run.probability:.3g}")
        rows.append([*row, *[""] * (8 - len(row))])
    return rows


def _differences(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    columns, rows = run_rows(runs, runs[0].folder.parent)
    keys = [name for name in columns if name not in FACTS and "/" not in name]
    return [(key, [str(row.get(key, "")) for row in rows]) for key in keys]


def _table(files: Sequence[str], names: Sequence[str], answers: Sequence[dict[str, Given]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    titles = [f"{name} {kind}" for name in names for kind in ("answer", "probability", "right")]
    writer.writerow(["file", "class", *titles])
    for file in files:
        given = [run[file] for run in answers]
        cells = [cell for one in given for cell in (one.answer, f"{one.probability:.6f}", int(one.answer == one.label))]
        writer.writerow([file, given[0].label, *cells])
    return text.getvalue()


def _page(
    names: Sequence[str],
    runs: Sequence[Run],
    subtitle: str,
    compared: Sequence[Compared],
    answers: Sequence[dict[str, Given]],
    differences: Sequence[tuple[str, list[str]]],
) -> str:
    @cache
    def thumbnail(file: str) -> str | None:
        picture = read_or_none(file)
        return None if picture is None else data_uri(picture)

    def cases(changed: Sequence[str], own: dict[str, Given]) -> tuple[list[dict[str, Any]], int]:
        surest = sorted(changed, key=lambda file: -own[file].probability)[:_PICTURES]
        found = [
            {
                "file": file,
                "label": own[file].label,
                "image": thumbnail(file),
                "first": answers[0][file],
                "own": own[file],
            }
            for file in surest
        ]
        return found, len(changed)

    curves = []
    for title in _CURVES:
        curve = {name: read_curve(run.folder, title) for name, run in zip(names, runs, strict=True)}
        if any(curve.values()):
            curves.append(curve_chart(title, curve))
    others = zip(names[1:], compared[1:], answers[1:], strict=True)
    return template("comparison.html").render(
        title=f"{', '.join(names)} compared",
        subtitle=f"{subtitle}.",
        runs=list(zip(names, compared, strict=True)),
        first=names[0],
        curves=curves,
        differences=differences,
        pictures=[(name, cases(run.won, own), cases(run.lost, own)) for name, run, own in others],
    )
