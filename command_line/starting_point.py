"""Which run a command means, where it starts and where it writes: found out once, before anything is built."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from command_line.loggers import DEFAULT_FOLDER, asked_for, logger_configs
from command_line.request import Request
from command_line.stored_config import is_elsewhere
from runs.checkpoints import read_checkpoint
from runs.commands import shown
from runs.finding import find_checkpoint, run_of, runs_of
from runs.naming import claim_evaluation, claim_folder, claim_run, named_run
from runs.run import Keyword, Run

_KEYWORDS: dict[str, Keyword] = {"best": "best", "last": "last"}


@dataclass
class Start:
    """What a command starts from, and where it writes.

    Attributes:
        experiment: Folder of the experiment's runs.
        folder: The folder that the command writes to: that of a run, or of an evaluation; None for a file alone.
        name: The name that a new run is to have; None counts on from the last version.
        run: The run that is trained or evaluated; None for one that is new, and a checkpoint that belongs to none.
        checkpoint: The checkpoint; None if there is none.
        hyper_parameters: The arguments that its classifier was built with.
        trained_elsewhere: Whether it was trained on another ``data.root``.
        step: The optimizer step from which a run goes on in its folder; None for a run that is new.
    """

    experiment: Path = field(default_factory=Path)
    folder: Path | None = None
    name: str | None = None
    run: Run | None = None
    checkpoint: Path | None = None
    hyper_parameters: dict[str, Any] = field(default_factory=dict)
    trained_elsewhere: bool = False
    step: int | None = None

    def compare_preprocessing(self, preprocessing: dict[str, Any], image_size: int) -> None:
        """Warn where images are prepared in another way than they were for the checkpoint.

        Args:
            preprocessing: The evaluation pipeline as plain values.
            image_size: Side of training images in pixels.
        """
        if self.checkpoint and preprocessing != self.hyper_parameters.get("preprocessing"):
            rank_zero_warn(
                f"Images are prepared in another way than {self.checkpoint} was validated with (data.image_size "
                f"{image_size} here, {self.hyper_parameters.get('image_size')} there, or other steps): "
                "the config.yaml of its run has the right one."
            )


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
    experiment, name = _place(config, loggers, request)
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
    config.ckpt_path = None if start.checkpoint is None else str(shown(start.checkpoint))
    start.name = name
    return start


def claim(start: Start, config: Any, command: str) -> None:
    """Make the folder that a command writes to, unless it goes on in one.

    Args:
        start: What ``find_start`` has found; changed in place.
        config: The command's config.
        command: ``fit``, ``validate``, ``test`` or ``predict``.

    Raises:
        MisconfigurationException: If what would be written is there already, or can't be written.
    """
    create = is_first_process() and not config.trainer.fast_dev_run
    if command != "fit":
        _claim_evaluation(start, config, command, create=create)
        return
    if start.run is None:
        start.run = claim_run(start.experiment, start.name, create=create)
        if start.checkpoint is not None:
            rank_zero_info(f"{start.run.folder} begins where {start.checkpoint} stands, as a run of its own.")
    start.folder = start.run.folder


def is_first_process() -> bool:
    """Tell whether this process is the one that writes, before processes know each other.

    Returns:
        Whether its launcher (torchrun, SLURM, Lightning) counts it as the first.
    """
    for variable in ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK"):
        if variable in os.environ:
            return os.environ[variable] == "0"
    return all(os.environ.get(variable, "0") == "0" for variable in ("NODE_RANK", "GROUP_RANK", "LOCAL_RANK"))


def _place(config: Any, loggers: list[Any], request: Request) -> tuple[Path, str | None]:
    """Find the folder of the experiment and the name of the run, whatever says so, and leave both in the config."""
    logs, experiment = asked_for(loggers, "save_dir"), asked_for(loggers, "name")
    config.logs = (config.logs if request.has("--logs") or not logs else logs) or (
        config.trainer.default_root_dir or DEFAULT_FOLDER
    )
    config.experiment = (
        config.experiment if request.has("--experiment") or not experiment else experiment
    ) or "default"
    # the config of a run that exists may hold the version that this very run was given
    typed = request.run is None or request.has("--trainer.logger.init_args.version")
    version = asked_for(loggers, "version") if typed else None
    name = config.name if config.name is not None else f"version_{version}" if isinstance(version, int) else version
    for logger in loggers:
        for argument, value in (("save_dir", str(config.logs)), ("name", config.experiment), ("version", None)):
            if argument in logger.init_args and asked_for([logger], argument) is not None:
                logger.init_args[argument] = value
    config.name = None  # a name is for one run: its config begins others
    return Path(config.logs) / config.experiment, None if name is None else str(name)


def _find_training(start: Start, config: Any, request: Request, name: str | None) -> None:
    """Go on with a run in its folder, or begin a new one, perhaps from a checkpoint."""
    wanted = config.ckpt_path
    if request.named:
        if wanted is not None:
            raise MisconfigurationException("fit goes on with the run that is named: leave --ckpt_path out.")
        last = request.run.find_checkpoint("last") if request.run else None
        start.checkpoint = request.checkpoint or last
        start.run = request.run if name is None and _same(start.checkpoint, last) else None
    elif wanted == "last":
        newest = next(iter(runs_of(start.experiment)), None)
        start.run = named_run(start.experiment, name) if name else request.run or newest
        if start.run is not None and not start.run.exists():
            start.run = None
        start.checkpoint = start.run.find_checkpoint("last") if start.run else None
        if start.checkpoint is None:
            where = start.run.folder if start.run else start.experiment
            rank_zero_warn(f"There is no checkpoint in {where} to go on from: the run begins.")
    elif wanted is not None:
        start.checkpoint = _checkpoint(wanted, "last", start.experiment, request, name)
        if request.run and name is None and _same(start.checkpoint, request.run.find_checkpoint("last")):
            start.run = request.run


def _same(checkpoint: Path | None, last: Path | None) -> bool:
    """Compare two checkpoints, of which a run that has been killed early has none."""
    return checkpoint == last or (checkpoint is not None and last is not None and checkpoint.samefile(last))


def _find_evaluation(start: Start, config: Any, command: str, request: Request, name: str | None) -> None:
    wanted = config.ckpt_path
    if wanted is None and request.named:
        start.checkpoint = request.checkpoint or (request.run.checkpoint("best") if request.run else None)
    elif wanted is None and name is not None:
        start.checkpoint = named_run(start.experiment, name).checkpoint("best")
    elif wanted is None:
        raise MisconfigurationException(
            f"{command} needs trained weights: name a run, as in train.py {command} "
            f"{request.run.folder if request.run else 'RUN'}, or add --ckpt_path with a checkpoint, the folder of a "
            "run, best or last."
        )
    else:
        start.checkpoint = _checkpoint(wanted, "best", start.experiment, request, name)
    start.run = run_of(start.checkpoint) if start.checkpoint else None


def _checkpoint(wanted: str, prefer: Keyword, experiment: Path, request: Request, name: str | None) -> Path:
    """Turn what stands behind ``--ckpt_path`` into a file."""
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


def _take(start: Start, config: Any, command: str, request: Request) -> None:
    """Look into the checkpoint, and see that it fits."""
    assert start.checkpoint is not None
    content = read_checkpoint(start.checkpoint)
    start.hyper_parameters = content["hyper_parameters"]
    stored = start.hyper_parameters
    for key in ("backbone", "optimizer") if command == "fit" else ("backbone",):
        if config.model[key] != stored.get(key, config.model[key]):
            raise MisconfigurationException(
                f"{start.checkpoint} was trained with model.{key} {stored[key]}, but it is set to {config.model[key]}: "
                "use the config.yaml of its run."
            )
    config.model.weights = None  # the checkpoint brings its own
    root = config.data.init_args.get("root")
    if root is not None and command != "fit":
        typed = request.has("--data.root") or request.has("--data.init_args.root")
        start.trained_elsewhere = is_elsewhere(content, root, typed)
    if start.run is not None and command == "fit":
        start.step = int(content.get("global_step", 0))


def _claim_evaluation(start: Start, config: Any, command: str, *, create: bool) -> None:
    assert start.checkpoint is not None
    if config.output is not None and command == "predict":
        return
    if config.output is not None:
        start.folder = claim_folder(Path(config.output), "--output", create=create)
    else:
        run = start.run or Run(Path(config.logs) / start.checkpoint.stem)
        start.folder = claim_evaluation(run, command, create=create)
