"""What a command starts from: a checkpoint that fits, or nothing."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from runs.checkpoints import find_checkpoint, newest_run, read_checkpoint, run_of


class Start(NamedTuple):
    """What a command starts from.

    Attributes:
        checkpoint: The checkpoint; None if there is none.
        hyper_parameters: The arguments that its classifier was built with.
        step: The optimizer step from which a run goes on in its folder; None for a run that is new.
    """

    checkpoint: Path | None = None
    hyper_parameters: dict[str, Any] = {}  # noqa: RUF012 - a default, never changed
    step: int | None = None


def find_start(config: Any, subcommand: str) -> Start:
    """Find the checkpoint that a command means, see that it fits, and lead the command into the folder of its run.

    Args:
        config: The command's config; ``ckpt_path``, ``model.weights`` and the logger's folder are changed.
        subcommand: ``fit``, ``validate``, ``test`` or ``predict``.

    Returns:
        What to start from.

    Raises:
        MisconfigurationException: If the checkpoint is missing, damaged, or of another network or optimizer, or the
            folder of its run can't be written to.
    """
    if config.ckpt_path is None:
        if subcommand != "fit":
            raise MisconfigurationException(
                f"{subcommand} needs trained weights: add --ckpt_path with a checkpoint, the folder of a run, "
                "best or last."
            )
        return Start()
    logger = config.trainer.logger
    place = logger.init_args if hasattr(logger, "init_args") else None
    experiment = Path(place.save_dir) / (place.name or "") if place else Path()
    if subcommand == "fit" and config.ckpt_path == "last":
        begun = newest_run(experiment)
        if begun is None or not any(begun.glob("checkpoints/[!.]*")):
            rank_zero_warn(f"There is no checkpoint in {begun or experiment} to go on from: the run begins.")
            config.ckpt_path = None
            if begun and place:
                place.version = begun.name
            return Start(step=0)
    checkpoint = find_checkpoint(config.ckpt_path, experiment, "last" if subcommand == "fit" else "best")
    content = read_checkpoint(checkpoint)
    stored = content["hyper_parameters"]
    for key in ("backbone", "optimizer") if subcommand == "fit" else ("backbone",):
        if config.model[key] != stored.get(key, config.model[key]):
            raise MisconfigurationException(
                f"{checkpoint} was trained with model.{key} {stored[key]}, but it is set to {config.model[key]}: use "
                "the config.yaml of its run."
            )
    config.ckpt_path = str(checkpoint)
    config.model.weights = None  # the checkpoint brings its own
    run = run_of(checkpoint)
    if run and place:
        _check_writable(run)
        place.save_dir, place.name, place.version = str(run.parent.parent), run.parent.name, run.name
    return Start(checkpoint, stored, int(content.get("global_step", 0)))


def _check_writable(run: Path) -> None:
    """Try it, before TensorBoard does so in a thread of its own."""
    try:
        with tempfile.TemporaryFile(dir=run):
            pass
    except OSError as error:
        raise MisconfigurationException(
            f"Can't write into the run's folder {run}: {error.strerror}. Make it writable, or copy the checkpoint."
        ) from error
