"""Lets all machines of a job start from one checkpoint, where each has a copy of its own."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import torch.distributed
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.utilities import rank_zero_info

from command_line.remote_runs.mirror import Mirror
from command_line.remote_runs.places import mirror_of
from datamodules.once_a_node import patient_barrier
from runs.checkpoints import read_checkpoint
from runs.run import CHECKPOINTS


class SameCheckpoint:
    """Compares the checkpoints that the devices are about to load, and refuses to go on with different ones.

    Machines keep copies of runs in object storage. That of the machine which trained may be newer than what it had
    uploaded when the job was lost; another one would start from an older step, and train something else. Where the
    first machine's is the newest, the others take it. Where another one's is, that one uploads it and the job ends, to
    be started again, since curves and history are the first one's.

    Args:
        checkpoint: What this device starts from; None is a new training.
        mirror: The run in object storage; None for a folder, which machines have to share.
    """

    def __init__(self, checkpoint: Path | None, mirror: Mirror | None) -> None:
        self.checkpoint, self.mirror = checkpoint, mirror

    def settle(self, trainer: Trainer) -> None:
        """Compare, and copy what can be.

        Args:
            trainer: The trainer, whose processes all have to call this.

        Raises:
            MisconfigurationException: On all devices, if they haven't the same checkpoint.
        """
        if trainer.world_size == 1:
            return
        found = _of_all(trainer, _fingerprint(self.checkpoint))
        if len({*found}) == 1:
            return
        steps = _of_all(trainer, _steps(self.checkpoint))
        newest = steps.index(max(steps))
        problem = ""
        with patient_barrier(trainer) as wait_for_all:
            try:
                if trainer.global_rank == newest and self.mirror is not None:
                    self.mirror.upload()
            except MisconfigurationException as error:
                problem = str(error)
            wait_for_all()
            try:
                other = found[trainer.global_rank] != found[0] and trainer.local_rank == 0
                if newest == 0 and other and self.mirror is not None and self.checkpoint is not None:
                    self.mirror.replace(f"{CHECKPOINTS}/{self.checkpoint.name}")
            except MisconfigurationException as error:
                problem = str(error)
            wait_for_all()
        problems = [said for said in _of_all(trainer, problem) if said]
        if not problems and len({*_of_all(trainer, _fingerprint(self.checkpoint))}) == 1:
            rank_zero_info("Other machines had an older copy of the checkpoint, and have taken that of this one.")
            return
        stored = any(_of_all(trainer, self.mirror is not None))
        listed = ", ".join("none" if one < 0 else str(one) for one in steps)
        advice = "The newest is in the storage now: start the command again"
        if not stored:
            advice = "The folder of the runs (logs) has to be one that all machines share"
        raise MisconfigurationException(
            problems[0]
            if problems
            else f"The devices would start from different checkpoints, after these steps: {listed}. {advice}."
        )


def same_checkpoint(checkpoint: Path | None) -> Callback:
    """Build a callback that lets all machines start from one checkpoint, before anything is loaded.

    Args:
        checkpoint: What this device starts from; None is a new training.

    Returns:
        The callback.
    """
    folder = checkpoint.parent if checkpoint is not None else None
    mirror = mirror_of(folder.parent) if folder and folder.name == CHECKPOINTS else None
    # no class of its own, which would be one of those that --help lists for trainer.callbacks
    return LambdaCallback(setup=lambda trainer, *_, **__: SameCheckpoint(checkpoint, mirror).settle(trainer))


def _of_all(trainer: Trainer, mine: Any) -> list[Any]:
    everyone: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(everyone, mine)
    return everyone


def _steps(checkpoint: Path | None) -> int:
    return -1 if checkpoint is None else int(read_checkpoint(checkpoint).get("global_step", 0))


def _fingerprint(checkpoint: Path | None) -> str:
    """Tell checkpoints apart by the checksums that their archives list; folders by the names of their parts."""
    if checkpoint is None:
        return ""
    if checkpoint.is_dir():
        parts = [f"{file.name} {file.stat().st_size}" for file in sorted(checkpoint.iterdir())]
    else:
        with zipfile.ZipFile(checkpoint) as archive:
            parts = [f"{info.filename} {info.CRC} {info.file_size}" for info in archive.infolist()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
