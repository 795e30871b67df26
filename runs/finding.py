"""Finds runs: by a path within them, by a name, or as the newest of an experiment."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from runs.checkpoints import newest_whole
from runs.remote_file import fetch, is_url
from runs.run import CHECKPOINTS, CONFIG, RESUMED_CONFIG, Keyword, Run
from runs.sharded_checkpoint import is_sharded

_EVALUATION = re.compile(r"(?:validate|test|predict)(?:-\d+)?")
_OLD_EVALUATION_CONFIGS = {"validate-config.yaml", "test-config.yaml", "predict-config.yaml"}
_CONFIGS = {CONFIG, RESUMED_CONFIG, *_OLD_EVALUATION_CONFIGS}


def named_path(name: str, logs: Path = Path("logs")) -> Path:
    """Find what a name stands for: a path, or the folder of a run below that of all runs.

    Args:
        name: What the user wrote, ``logs/demo/version_0`` or ``demo/version_0`` for instance.
        logs: The folder of all runs.

    Returns:
        The path, which need not exist.
    """
    path = Path(name)
    return logs / name if not path.exists() and (logs / name).exists() else path


def run_of(path: Path) -> Run | None:
    """Find the run that a path belongs to.

    Args:
        path: The folder of a run or of one of its evaluations, a checkpoint in its place, or a config.

    Returns:
        The run; None if the path belongs to none.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, and rename the run
    if path.parent.name == CHECKPOINTS:
        return _existing(path.parent.parent)
    folder = path.parent if path.name in _CONFIGS and not path.is_dir() else path
    run = _existing(folder)
    if run is None and _EVALUATION.fullmatch(folder.name):
        run = _existing(folder.parent)
    return run


def find_checkpoint(wanted: str, prefer: Keyword, option: str) -> Path:
    """Find the checkpoint that the user named.

    Args:
        wanted: A file, its http(s) URL, or the folder of a run, of one of its evaluations, or of checkpoints.
        prefer: ``best`` or ``last``, for a folder.
        option: The option that it was written behind, for messages.

    Returns:
        The file, or the folder of a sharded checkpoint.

    Raises:
        MisconfigurationException: If there is none.
    """
    path = fetch(wanted, option) if is_url(wanted) else Path(wanted)
    if not path.exists():
        raise MisconfigurationException(
            f"{option} is {path}, but there is no such file: give a checkpoint, the folder of a run, best or last."
        )
    if not path.is_dir() or is_sharded(path):
        return path
    run = run_of(path)
    found = run.checkpoint(prefer) if run else newest_whole(path, prefer) or newest_whole(path, "best")
    if found is None:
        raise MisconfigurationException(f"{option} is the folder {path}, which holds no checkpoints/{prefer}.ckpt.")
    return found


def runs_of(experiment: Path) -> list[Run]:
    """List the runs of an experiment.

    Args:
        experiment: Folder of the runs; those in folders below it belong to other experiments.

    Returns:
        The runs, the newest first.
    """
    try:
        folders = [path for path in experiment.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []
    runs = [run for run in map(Run, folders) if run.exists()]
    return sorted(runs, key=lambda run: (run.begun, version_of(run.name), run.name), reverse=True)


def find_runs(folder: Path) -> Iterator[Run]:
    """Find all runs in a folder and below it, but for folders that may not be read, of which a warning tells.

    Args:
        folder: The folder, which may be a run itself.

    Yields:
        The runs, in the order of their paths.
    """
    run = Run(folder)
    try:
        found = run.exists()
        paths = [] if found else sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        below = [path for path in paths if path.is_dir() and not path.is_symlink()]
    except OSError as error:
        rank_zero_warn(f"{folder} can't be looked into ({error.strerror}): runs in it are left out.")
        return
    if found:
        yield run
    for path in below:
        yield from find_runs(path)


def version_of(name: str) -> int:
    """Read the number of a run without a name of its own.

    Args:
        name: ``version_3`` for instance.

    Returns:
        3, or -1 for any other name.
    """
    number = re.fullmatch(r"version_(\d+)", name)
    return int(number[1]) if number else -1


def _existing(folder: Path) -> Run | None:
    run = Run(folder)
    return run if run.exists() else None
