"""The answers of the trainings' networks to images, from evaluations in the folders of their runs."""

import json
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.trainings.member_runs import start_command
from runs.commands import shown
from runs.run import CONFIG, Run

_ANSWERS = "predictions.csv"
_SCORES = {"validate": "val_scores.json", "test": "test_scores.json"}


def answers_of(run: Run, command: str = "validate") -> Path:
    """Find the answers of a run's network to images, or ask for them.

    Args:
        run: The run.
        command: ``validate`` or ``test``.

    Returns:
        ``predictions.csv`` of its newest evaluation by the best checkpoint on the run's own data.

    Raises:
        MisconfigurationException: If an evaluation that was asked for has written no answers.
    """
    found = _newest(run, command)
    if found is None:
        start_command([command, str(run.folder), "--report.enabled=true", "--report.heat_maps=false"])
        found = _newest(run, command)
    if found is None:
        raise MisconfigurationException(
            f"{command} has written no {_ANSWERS} in {shown(run.folder)} on the data of this run: look at what it "
            "reported above, and repeat the command."
        )
    return found


def _newest(run: Run, command: str) -> Path | None:
    """Pass over evaluations that were killed, and those that somebody made on other data or by another checkpoint."""
    tables = [*run.folder.glob(f"{command}/{_ANSWERS}"), *run.folder.glob(f"{command}-*/{_ANSWERS}")]
    own = [table for table in tables if _is_own(run, table.parent, command)]
    return max(own, key=lambda table: table.stat().st_mtime_ns, default=None)


def _is_own(run: Run, folder: Path, command: str) -> bool:
    own, other = _root(run.config), _root(folder / CONFIG)
    if own is None or other is None:
        return own == other
    began = run.history.last("began")
    directory = Path(str(began.facts.get("directory", "."))) if began else Path()
    # relative paths of an evaluation count from where it was started, which its config doesn't say
    same = own == other or ("://" not in own + other and (directory / own).resolve() == Path(other).resolve())
    used = _content(folder / _SCORES[command]).get("checkpoint")
    return same and (not isinstance(used, str) or Path(used).name == run.checkpoint("best").name)


def _root(config: Path | None) -> str | None:
    value: Any = _content(config) if config else None
    for key in ("data", "init_args", "root"):
        value = value.get(key) if isinstance(value, dict) else None
    return value.rstrip("/") if isinstance(value, str) else None


def _content(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
