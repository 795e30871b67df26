"""The answers of the trainings' networks to images, from evaluations in the folders of their runs."""

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.trainings.member_runs import start_command
from results.evaluation_folders import (
    EvaluationFolder,
    data_root,
    evaluated_checkpoint,
    evaluation_folders,
)
from runs.commands import shown
from runs.run import Run

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
    found = evaluation_folders(run, command, _ANSWERS, None)
    return next((one.folder / _ANSWERS for one in found if _is_own(run, one, command)), None)


def _is_own(run: Run, found: EvaluationFolder, command: str) -> bool:
    own, other = data_root(run.config), found.root
    same = own == other
    if own and other and not same and "://" not in own + other:
        same = run.path_meant(own).resolve() == Path(other).resolve()
    used = evaluated_checkpoint(found.folder / _SCORES[command])
    best = run.find_checkpoint("best") or run.find_checkpoint("last")
    of_best = used.name in (None, best.name if best else "best.ckpt")  # answers may outlive checkpoints
    return same and of_best and used.is_current(run)
