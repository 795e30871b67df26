"""The command ``repeat``: the same training with several seeds or on several folds, and how its scores vary."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain, product
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.trainings.evaluations import answers_of
from command_line.trainings.fold_runs import divide_in_folds, fold_members
from command_line.trainings.member_runs import Member, train_members
from command_line.trainings.refused_options import refuse_options
from command_line.trainings.typed import Typed
from datamodules import ImageDataModule
from results.evaluation.answer_table import answers_csv, read_evaluation
from results.evaluation.intervals import share
from results.figures.figure_file import write_figure
from results.figures.repeats_figure import repeats_figure
from results.repeats import Spread, spread_of
from results.run_table import SCORES, Row, is_score, rows_csv, run_rows
from results.tables import write_csv
from results.text_table import text_table
from runs.commands import shown
from runs.curves import read_curve
from runs.naming import endings
from runs.whole_file import write_atomically


def repeat(
    data: ImageDataModule, typed: Typed, seeds: Sequence[int], folds: int | None, test: bool, output: Path
) -> None:
    """Train once for each seed and fold, and report the mean and the spread of the scores.

    Args:
        data: The data.
        typed: What was typed, options of ``fit`` that all trainings have among it.
        seeds: Their seeds; without any, that of the config.
        folds: Number of folds, each of which validates a training on the others; None keeps the data's own division.
        test: Whether to test each run as well.
        output: Folder for the runs, ``repeat.csv``, ``repeat.json``, ``repeat.png`` and, with folds,
            ``out_of_fold.csv`` for each seed.

    Raises:
        MisconfigurationException: If there is nothing to repeat, or the data can't be divided in folds.
    """
    refuse_options("repeat", typed)
    _check(data, seeds, folds)
    if not test and (lacking := typed.not_validated(data)):
        more = " or --folds" * bool(data.not_validated)
        raise MisconfigurationException(
            f"There is no score to compare the trainings by: {lacking}. Set --test true{more}."
        )
    if test:
        data.prepare_data()
        data.samples("test")  # which says now if there is none
    options = typed.without("seeds", "folds", "test", "output")
    runs = train_members(_members(seeds, folds), typed, options, output)
    if folds:
        tables = [answers_of(run) for run in runs]
    if test:
        for run in runs:
            answers_of(run, "test")
    columns, rows = run_rows(runs, output)
    scored = [name for name in columns if is_score(name) and not name.startswith("train/")]
    scores = [name for name in scored if all(name in row for row in rows)]
    if not scores:
        raise MisconfigurationException(
            f"The runs in {shown(output)} have no score in common to be compared by: look at what they reported."
        )
    spreads = {name: spread_of([row[name] for row in rows], name) for name in scores}
    ending = _ending(output, [run.name for run in runs])
    table, summary_file, figure = (output / f"repeat{ending}.{kind}" for kind in ("csv", "json", "png"))
    write_csv(table, rows_csv(columns, rows))
    summary = {name: asdict(spread) for name, spread in spreads.items()}
    write_atomically(summary_file, json.dumps(summary, indent=2) + "\n")
    watched = next(name for name in (*SCORES, *scores) if name in scores)
    curves = {run.name: read_curve(run.folder, watched) for run in runs}
    write_figure(figure, repeats_figure(curves, watched, {n: [row[n] for row in rows] for n in scores}))
    lines = _lines(rows, scores, spreads)
    if folds:
        lines += ["", *_out_of_fold(data, tables, seeds, folds, output, ending)]
    lines += ["", f"scores: {shown(table)}, {shown(summary_file)}"]
    print("\n".join(["", *lines, f"figure: {shown(figure)}"]), flush=True)  # noqa: T201 - the result


def _ending(output: Path, names: Sequence[str]) -> str:
    """Choose an ending for the summary's files: a summary is replaced by one that has all its runs, and no other."""
    for ending in endings():
        try:
            rows = csv.DictReader((output / f"repeat{ending}.csv").read_text(encoding="utf-8-sig").splitlines())
            if {row.get("run") for row in rows} <= {*names}:
                break
        except FileNotFoundError:
            break
    return ending


def _check(data: ImageDataModule, seeds: Sequence[int], folds: int | None) -> None:
    if not seeds and folds is None:
        raise MisconfigurationException("repeat needs --seeds or --folds: --seeds 1 2 3, for instance, or --folds 5.")
    if len({*seeds}) < len(seeds) or any(seed < 0 for seed in seeds):
        raise MisconfigurationException(f"--seeds is {[*seeds]}: they have to be 0 or more, and all different.")
    if folds is not None:
        divide_in_folds(data, folds, "--folds").samples("train")  # which says now what can't be divided


def _members(seeds: Sequence[int], folds: int | None) -> list[Member]:
    """List the trainings: one for each seed, for each fold, or for each pair of both."""
    of_seeds = [Member(f"seed-{seed}", (f"--seed_everything={seed}",)) for seed in seeds]
    variants = [members for members in (of_seeds, fold_members(folds or 0)) if members]
    return [
        Member("-".join(part.name for part in parts), tuple(chain.from_iterable(part.options for part in parts)))
        for parts in product(*variants)
    ]


def _lines(rows: Sequence[Row], scores: Sequence[str], spreads: dict[str, Spread]) -> list[str]:
    """Format a row for each run, and below them their summary."""
    cells = [[str(row["run"]), *(f"{row[name]:.4f}" for name in scores), str(row.get("length", ""))] for row in rows]
    found = [spreads[name] for name in scores]
    cells.append(["mean", *(f"{spread.mean:.4f}" for spread in found), ""])
    if len(rows) > 1:
        cells.append(["95 % from", *(f"{spread.low:.4f}" for spread in found), ""])
        cells.append(["95 % to", *(f"{spread.high:.4f}" for spread in found), ""])
    return text_table(["run", *scores, "length"], cells)


def _out_of_fold(
    data: ImageDataModule, tables: Sequence[Path], seeds: Sequence[int], folds: int, output: Path, ending: str
) -> list[str]:
    """Collect for each image the answer of the network that hadn't trained on it."""
    lines = []
    for place, seed in enumerate(seeds or [None]):
        name = ("out_of_fold" if len(seeds) < 2 else f"out_of_fold-seed-{seed}") + ending
        evaluation = read_evaluation(tables[place * folds : (place + 1) * folds], data.class_names)
        write_csv(output / f"{name}.csv", answers_csv(evaluation))
        for title, answers in evaluation.sides.items():
            found = share(answers.hits(evaluation.labels))
            lines.append(
                f"out of fold, {title}: {found.score:.4f} of {len(evaluation.files):,} images "
                f"(95 % {found.low:.4f} to {found.high:.4f})"
            )
        lines.append(f"answers: {shown(output / f'{name}.csv')}")
    return lines
