"""What a search has found so far: a table, a figure, the best config."""

import csv
import io
from typing import TYPE_CHECKING

from command_line.sweeping.search import Search
from command_line.sweeping.space import Space, brief
from command_line.sweeping.trial import reproducing_config
from results.figures.figure_file import write_figure
from results.figures.sweep_figure import Tried, sweep_figure
from results.tables import write_csv
from results.text_table import text_table
from runs.commands import shown, typed_command
from runs.whole_file import write_atomically

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_SHOWN = 10


def report(search: Search, space: Space, final: bool = False) -> None:
    """Write what a search has found, and print the best trials.

    Args:
        search: The search.
        space: What it tries.
        final: Whether it has ended.
    """
    trials = search.trials()
    tried = [_tried(search, trial) for trial in trials]
    direction = -1 if search.mode == "max" else 1
    ranked = sorted((one for one in tried if one.score is not None), key=lambda one: direction * (one.score or 0))
    ranked.sort(key=lambda one: one.state != "finished")
    columns = ["run", "state", search.score, "epochs", "minutes", *space]
    rows = [
        [one.run, one.state, one.score, one.epochs, one.minutes, *(one.values.get(key) for key in space)]
        for one in tried
    ]
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    write_csv(search.output / "trials.csv", text.getvalue())
    importances = _importances(search)
    write_figure(search.output / "sweep.png", sweep_figure(tried, search.score, search.mode, space, importances))
    best = search.best()
    lines = [""]
    if best is not None:
        config, run = search.output / "best.yaml", search.run_of(best)
        ended = sum(one.state != "running" for one in tried)
        title = f"{search.score} {best.value:.4f}, the best of {ended} trials: {typed_command()}"
        write_atomically(config, reproducing_config(run, title, config, search.experiment))
        lines.append(f"best of {ended}: {search.score} {best.value:.4f}, {shown(run.folder)}")
    if final:
        failed = [one for one in tried if one.state == "failed"]
        table = [
            [
                *(one.run, one.state, "" if one.score is None else f"{one.score:.4f}", str(one.epochs)),
                *(brief(one.values.get(key)) for key in space),
            ]
            for one in [*ranked[:_SHOWN], *failed]
        ]
        lines += ["", *text_table(["run", "state", search.score, "epochs", *space], table), ""]
        if failed:
            lines.append(f"failed: {len(failed)}; the same command tries them once more")
        if importances:
            shares = ", ".join(f"{key} {share:.2f}" for key, share in importances.items())
            lines.append(f"share of the score's variance (fANOVA): {shares}")
        lines += [f"all trials: {shown(search.output / 'trials.csv')}", f"figure: {shown(search.output / 'sweep.png')}"]
        if best is not None:
            lines.append(f"config of the best: {shown(search.output / 'best.yaml')}")
    print("\n".join(lines), flush=True)  # noqa: T201 - the result


def _tried(search: Search, trial: "FrozenTrial") -> Tried:
    names = {"COMPLETE": "finished", "PRUNED": "pruned", "RUNNING": "running", "FAIL": "failed"}
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    score = trial.value if trial.state.name in ("COMPLETE", "PRUNED") else None
    return Tried(
        search.run_of(trial).name,
        names[trial.state.name],
        score,
        len(trial.intermediate_values),
        round(seconds / 60, 2),
        trial.params,
    )


def _importances(search: Search) -> dict[str, float]:
    """Find which options the score depends on (Hutter et al., 2014); of few trials that can't be said."""
    from optuna.importance import get_param_importances
    from optuna.trial import TrialState

    finished = search.study.get_trials(states=[TrialState.COMPLETE])
    if len(finished) < _SHOWN or len({trial.value for trial in finished}) == 1:
        return {}
    return get_param_importances(search.study)
