"""Finds, before anything is built, which run and which checkpoint a command means."""

from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from command_line.arguments.request import Request
from command_line.arguments.stored_config import is_elsewhere
from command_line.loggers import logger_configs
from command_line.place import place_run
from command_line.remote_runs.places import fetch_meant
from command_line.start import Start
from runs.checkpoints import read_checkpoint
from runs.commands import program, shown
from runs.finding import find_checkpoint, run_of, runs_of
from runs.naming import named_run
from runs.run import Keyword, Run

_WITHOUT_WEIGHTS = ("cosine_scale", "gem_power")  # other values of these would load, and give wrong answers
_KEYWORDS: dict[str, Keyword] = {"best": "best", "last": "last"}


def find_start(config: Any, command: str, request: Request) -> Start:
    """Find the run and the checkpoint that a command means; nothing is written yet.

    Args:
        config: The command's config; the checkpoint's path and what names run and experiment are changed.
        command: ``fit``, ``validate``, ``test`` or ``predict``.
        request: What was typed.

    Returns:
        What to start from.

    Raises:
        MisconfigurationException: If there is no such run or checkpoint, or the checkpoint is damaged or of another
            network or optimizer.
    """
    loggers = logger_configs(config.trainer)
    experiment, name = place_run(config, loggers, request)
    fetch_meant(experiment, name, config.ckpt_path)
    start = Start(experiment)
    if command == "fit":
        _find_training(start, config, request, name)
    else:
        _find_evaluation(start, config, command, request, name)
    if start.checkpoint is not None:
        _take(start, config, command, request)
    elif start.run is not None:
        start.step = 0
    if command == "predict" and config.output is not None:
        config.predictions.file = config.output
    if command in ("validate", "test") and config.unknown is not None:
        config.report.unknown = config.unknown
    config.ckpt_path = None if start.checkpoint is None else str(shown(start.checkpoint))
    start.name = name
    return start


def _find_training(start: Start, config: Any, request: Request, name: str | None) -> None:
    """Continue with a run in its folder, or begin a new one, perhaps from a checkpoint."""
    wanted = config.ckpt_path
    if request.named:
        if wanted is not None:
            raise MisconfigurationException("fit continues the run that is named: leave --ckpt_path out.")
        start.note_saved(request.run)
        last = request.run.find_checkpoint("last") if request.run else None
        start.checkpoint = request.checkpoint or last
        start.run = request.run if name is None and _same(start.checkpoint, last) else None
    elif wanted == "last":
        newest = next(iter(runs_of(start.experiment)), None)
        start.run = named_run(start.experiment, name) if name else request.run or newest
        if start.run is not None and not start.run.exists():
            start.run = None
        start.note_saved(start.run)
        start.checkpoint = start.run.find_checkpoint("last") if start.run else None
        if start.checkpoint is None:
            where = start.run.folder if start.run else start.experiment
            rank_zero_warn(f"There is no checkpoint in {where} to go on from: the run begins.")
    elif wanted is not None:
        start.note_saved(request.run)
        start.checkpoint = _checkpoint(wanted, "last", start.experiment, request, name)
        if request.run and name is None and _same(start.checkpoint, request.run.find_checkpoint("last")):
            start.run = request.run


def _same(checkpoint: Path | None, last: Path | None) -> bool:
    """Compare two checkpoints; a run that was killed early has none."""
    return checkpoint == last or (checkpoint is not None and last is not None and checkpoint.samefile(last))


def _find_evaluation(start: Start, config: Any, command: str, request: Request, name: str | None) -> None:
    wanted = config.ckpt_path
    if request.named and request.run and request.name and not _is_called(request.run, request.name):
        raise MisconfigurationException(
            f"{command} takes {shown(request.run.folder)}, and --name is {request.name}: leave one of them out."
        )
    if wanted is None and request.named:
        start.checkpoint = request.checkpoint or (request.run.checkpoint("best") if request.run else None)
    elif wanted is None and name is not None:
        start.checkpoint = named_run(start.experiment, name).checkpoint("best")
    elif wanted is None:
        raise MisconfigurationException(
            f"{command} needs trained weights: name a run, as in {program()} {command} "
            f"{request.run.folder if request.run else 'RUN'}, or add --ckpt_path with a checkpoint, the folder of a "
            "run, best or last."
        )
    else:
        start.checkpoint = _checkpoint(wanted, "best", start.experiment, request, name)
    start.run = run_of(start.checkpoint) if start.checkpoint else None


def _is_called(run: Run, name: str) -> bool:
    parts = Path(name).parts
    return run.folder.absolute().parts[-len(parts) :] == parts


def _checkpoint(wanted: str, prefer: Keyword, experiment: Path, request: Request, name: str | None) -> Path:
    """Find the file that ``--ckpt_path`` names."""
    if wanted in _KEYWORDS:
        run = named_run(experiment, name) if name else request.run
        if run is not None:
            return run.checkpoint(_KEYWORDS[wanted])
        for newest in runs_of(experiment):
            found = newest.find_checkpoint(_KEYWORDS[wanted])
            if found is not None:
                return found
        raise MisconfigurationException(
            f"--ckpt_path is {wanted}, but no run in {experiment} has checkpoints/{wanted}.ckpt: train first, or give "
            "a checkpoint file or the folder of a run."
        )
    return find_checkpoint(wanted, prefer, "--ckpt_path")


def _yaml(value: Any) -> str:
    return "null" if value is None else str(value)


def _take(start: Start, config: Any, command: str, request: Request) -> None:
    """Look into the checkpoint, and check that it fits."""
    assert start.checkpoint is not None
    content = read_checkpoint(start.checkpoint)
    start.hyper_parameters = content["hyper_parameters"]
    stored = start.hyper_parameters
    if command == "fit" and "callbacks" not in content:
        raise MisconfigurationException(
            f"{start.checkpoint} holds weights alone (checkpoint.save_weights_only), from which no run can continue: "
            "name the folder of its run, or begin a new training by model.weights."
        )
    wanted = config.model
    for key in ("backbone", *(("optimizer",) if command == "fit" else ()), *_WITHOUT_WEIGHTS):
        known = stored.get(key, None if key in _WITHOUT_WEIGHTS else wanted[key])  # older ones had no such options
        if wanted[key] == known:
            continue
        if key in _WITHOUT_WEIGHTS and command != "fit" and not request.has(f"--model.{key}"):
            wanted[key] = known  # a config may be newer than the checkpoint, which says what it is
            rank_zero_info(f"model.{key} is {_yaml(known)}, as {start.checkpoint} was trained with.")
        else:
            raise MisconfigurationException(
                f"{start.checkpoint} was trained with model.{key} {_yaml(known)}, but it is set to "
                f"{_yaml(wanted[key])}: use the config.yaml of its run."
            )
    config.model.weights = None  # the checkpoint brings its own
    root = config.data.init_args.get("root")
    if root is not None and command != "fit":
        typed = request.has("--data.root") or request.has("--data.init_args.root")
        start.trained_elsewhere = is_elsewhere(content, root, typed, start.run)
    if start.run is not None and command == "fit":
        start.step = int(content.get("global_step", 0))
