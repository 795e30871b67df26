"""Where a command writes: the folder of a run, or of an evaluation."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info

from command_line.arguments.request import Request
from command_line.loggers import DEFAULT_FOLDER, asked_for
from command_line.remote_runs.places import mirror_of, see_names
from command_line.remote_runs.uploads import uploading
from command_line.start import Start
from runs.checkpoints import epochs_of
from runs.commands import address, shown
from runs.history import Lock
from runs.naming import attempt, claim_evaluation, claim_folder, claim_run, release, require_folder_name
from runs.run import Run


def place_run(config: Any, loggers: list[Any], request: Request) -> tuple[Path, str | None]:
    """Find the folder of the experiment and the name of the run, from whichever option sets them.

    Args:
        config: The command's config, in which both are stored.
        loggers: The configs of its loggers, whose arguments may set them too; changed likewise.
        request: What was typed.

    Returns:
        The folder, and the name; None for a run without a name.

    Raises:
        MisconfigurationException: If the experiment can't be a folder below that of the logs.
    """
    logs, experiment = asked_for(loggers, "save_dir"), asked_for(loggers, "name")
    config.logs = (config.logs if request.has("--logs") or not logs else logs) or (
        config.trainer.default_root_dir or DEFAULT_FOLDER
    )
    config.experiment = (
        config.experiment if request.has("--experiment") or not experiment else experiment
    ) or "default"
    if request.run is None:  # else the run that is named says where it lies
        require_folder_name("--experiment", config.experiment, config.logs)
    # the config of a run that exists may hold the version that this very run was given
    typed = request.run is None or request.has("--trainer.logger.init_args.version")
    version = asked_for(loggers, "version") if typed else None
    named = f"version_{version}" if isinstance(version, int) else version
    name = next((name for name in (request.name, config.name, named) if name is not None), None)
    for logger in loggers:
        for argument, value in (("save_dir", str(config.logs)), ("name", config.experiment), ("version", None)):
            if argument in logger.init_args and asked_for([logger], argument) is not None:
                logger.init_args[argument] = value
    config.name = None  # a name is for one run: its config begins others
    return Path(config.logs) / config.experiment, None if name is None else str(name)


def claim(start: Start, config: Any, command: str) -> None:
    """Make the folder that a command writes to, unless it continues in one.

    Args:
        start: What ``find_start`` has found; changed in place.
        config: The command's config.
        command: ``fit``, ``validate``, ``test`` or ``predict``.

    Raises:
        MisconfigurationException: If what would be written is there already, or can't be written, or nothing is left to
            train.
    """
    create = is_first_process() and not config.trainer.fast_dev_run
    if command != "fit":
        _claim_evaluation(start, config, command, create=create)
        return
    if start.run is None:
        if start.checkpoint is not None and not config.trainer.fast_dev_run:
            _require_epochs(start.checkpoint, config.trainer)
        if create:
            see_names(start.experiment)
        start.run = claim_run(start.experiment, start.name, create=create)
        if start.checkpoint is not None:
            rank_zero_info(
                f"{address(start.run.folder)} begins where {address(start.checkpoint)} stands, as a run of its own."
            )
    start.folder = start.run.folder


@contextmanager
def hold(start: Start, absent: Sequence[Path], *, training: bool) -> Iterator[None]:
    """Keep the folder that a command writes to for itself, and upload what it writes, if it is the copy of a run.

    Args:
        start: What ``find_start`` has found.
        absent: Folders that weren't there before, the innermost first; they are removed if nothing is written.
        training: Whether a run is trained; otherwise it is evaluated, and the folder goes if that fails.

    Yields:
        Nothing.

    Raises:
        MisconfigurationException: If another process trains the run, or has just saved its first checkpoint.
    """
    assert start.folder is not None
    mirror = mirror_of(start.run.folder) if start.run else None
    with ExitStack() as afterwards:
        for folder in [*reversed(absent), start.folder]:  # the last is removed first
            afterwards.callback(release, folder)
        if mirror is not None:
            afterwards.enter_context(uploading(mirror))
        afterwards.enter_context(Lock(start.folder) if training else attempt(start.folder))
        if training:
            start.look_again()
        yield


def _claim_evaluation(start: Start, config: Any, command: str, *, create: bool) -> None:
    assert start.checkpoint is not None
    if config.output is not None and command == "predict":
        return
    if config.output is not None:
        start.folder = claim_folder(Path(config.output), "--output", create=create)
    else:
        run = start.run or Run(Path(config.logs) / start.checkpoint.stem)
        start.folder = claim_evaluation(run, command, create=create)


def _require_epochs(checkpoint: Path, trainer: Any) -> None:
    """Refuse a new run that would begin where its training ends."""
    done, wanted = epochs_of(checkpoint), trainer.max_epochs
    if done is not None and wanted is not None and 0 < wanted <= done:
        raise MisconfigurationException(
            f"{shown(checkpoint)} was trained for {done} epoch{'s' * (done > 1)}, and trainer.max_epochs is {wanted}, "
            "so that nothing is left to train: raise trainer.max_epochs, or begin a new training from its weights by "
            "model.weights."
        )


def is_first_process() -> bool:
    """Check whether this process is the one that writes, before processes know each other.

    Returns:
        Whether its launcher (torchrun, SLURM, Lightning) counts it as the first.
    """
    for variable in ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK"):
        if variable in os.environ:
            return os.environ[variable] == "0"
    return all(os.environ.get(variable, "0") == "0" for variable in ("NODE_RANK", "GROUP_RANK", "LOCAL_RANK"))
