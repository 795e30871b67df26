"""The facts and scores of many runs, side by side."""

import csv
import io
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from results.evaluation_folders import evaluation_folders, preferred, read_scores
from runs.history import is_running
from runs.run import Run

Row: TypeAlias = dict[str, Any]

FACTS = ("run", "state", "epochs", "begun", "length")
SCORES = ("val/accuracy", "val/f1", "test/accuracy", "test/f1", "test_tta/accuracy", "test_tta/f1")
TESTED_ON = "tested on"
_ROOT = "data.init_args.root"
_STAGES = ("train", "val", "test", "test_tta")
# What names a run or says where it lies differs always, and says nothing.
_UNINTERESTING = ("logs", "name", "experiment", "ckpt_path", "output", "trainer.logger", "trainer.default_root_dir")


def run_rows(runs: Iterable[Run], folder: Path) -> tuple[list[str], list[Row]]:
    """Collect what is known of runs.

    Args:
        runs: The runs.
        folder: What their names are relative to.

    Returns:
        The columns that hold something, first facts, then scores, those that decide which checkpoint is the best among
        them, then the keys of the configs that differ; and a row for each run, in which what is unknown is missing.
    """
    found = list(runs)
    configs = [_flat(_read_yaml(run.config)) for run in found]
    differing = _differing(configs)
    monitored = dict.fromkeys(str(config["checkpoint.monitor"]) for config in configs if "checkpoint.monitor" in config)
    scores = list(dict.fromkeys((*SCORES, *monitored)))
    rows = []
    for run, config in zip(found, configs, strict=True):
        below = run.folder != folder and run.folder.is_relative_to(folder)
        name = str(run.folder.relative_to(folder)) if below else run.name
        values = {key: config[key] for key in differing if key in config}
        rows.append(
            {
                "run": name,
                **_facts(run),
                **scores_of(run, scores, config.get(_ROOT)),
                **{_short(key): value for key, value in values.items()},
            }
        )
    known = [name for name in (*scores, TESTED_ON) if any(name in row for row in rows)]
    columns = [*FACTS, *known, *map(_short, differing)]
    return columns, rows


def rows_csv(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Write a table of runs as CSV.

    Args:
        columns: As ``run_rows`` returns them.
        rows: Likewise.

    Returns:
        The text, with a header.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _facts(run: Run) -> Row:
    """Describe how far a run has come, and how long it took."""
    events = list(run.history.events())
    wanted = next((event.facts.get("epochs") for event in reversed(events) if "epochs" in event.facts), None)
    last = events[-1] if events else None
    done = last.facts.get("epoch") if last and last.kind in ("stopped", "failed", "finished") else run.epochs_done()
    if is_running(run.folder):
        state = "running"
    elif (last.kind == "finished") if last else (run.folder / "fit_scores.json").is_file():
        state = "finished"
    elif last and last.kind in ("began", "resumed") and last.facts.get("host", platform.node()) != platform.node():
        state = f"running or lost on {last.facts['host']}"  # whose locks aren't seen here
    else:
        kind = "failed" if last and last.kind == "failed" else "stopped"
        state = kind if done is None else f"{kind} at epoch {done}"
    row: Row = {"state": state, "begun": time.strftime("%Y-%m-%d %H:%M", time.localtime(run.begun))}
    if done is not None:
        row["epochs"] = f"{done}/{wanted}" if isinstance(wanted, int) and wanted > 0 else str(done)
    seconds, since = 0.0, None
    for event in events:
        if event.kind in ("began", "resumed"):
            since = event.time
        elif since is not None:
            seconds, since = seconds + event.time - since, None
    if state == "running" and since is not None:
        seconds += time.time() - since
    if seconds:
        row["length"] = f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
    return row


def is_score(column: str) -> bool:
    """Tell columns of scores from facts and settings.

    Args:
        column: Its title.

    Returns:
        Whether it is the logged name of a score.
    """
    stage, slash, _ = column.partition("/")
    return bool(slash) and stage in _STAGES


def scores_of(run: Run, names: Iterable[str], root: str | None = None) -> Row:
    """Read scores of the best epoch and of the newest test of it on the run's own data.

    Args:
        run: The run.
        names: Names of the scores.
        root: Where its own data lie; None takes the newest test, whatever it was on.

    Returns:
        Those that are known. Where a run was tested on other data alone, they are of the newest of these tests, and
        ``tested on`` says where the data lie.
    """
    tests = preferred(run, evaluation_folders(run, "test", "test_scores.json", root), "test_scores.json")
    newest = read_scores((tests[0].folder if tests else run.folder) / "test_scores.json")
    known = {**read_scores(run.folder / "fit_scores.json"), **newest}
    row: Row = {name: known[name] for name in names if isinstance(known.get(name), float)}
    return row | ({TESTED_ON: str(tests[0].root).rstrip("/")} if tests and tests[0].elsewhere else {})


def _differing(configs: list[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for config in configs for key in config)
    return [
        key
        for key in keys
        if not key.startswith(_UNINTERESTING) and len({repr(config.get(key)) for config in configs if config}) > 1
    ]


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _short(key: str) -> str:
    return key.replace(".init_args", "")


def _read_yaml(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
