"""Lets all machines of a job start from one checkpoint, each of which has copies of its own."""

import hashlib
import zipfile
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info

from command_line.remote_runs.mirror import Mirror
from command_line.remote_runs.places import mirror_of
from runs.run import CHECKPOINTS


def same_checkpoint(checkpoint: Path | None) -> "SameCheckpoint":
    """Build the callback for what this device starts from.

    Args:
        checkpoint: The checkpoint; None for a new training.

    Returns:
        The callback, which knows whether the checkpoint's run lies in object storage.
    """
    folder = checkpoint.parent if checkpoint is not None else None
    return SameCheckpoint(checkpoint, mirror_of(folder.parent) if folder and folder.name == CHECKPOINTS else None)


class SameCheckpoint(Callback):
    """Compares the checkpoints that the devices are about to load with that of the first one, which all then have.

    Machines keep copies of runs in object storage. That of the machine which trained may be newer than what it had
    uploaded when the job was lost; another one would start from an older step, and train something else.

    Args:
        checkpoint: What this device starts from; None is a new training.
        mirror: The run in object storage; None for a folder, which machines have to share.
    """

    def __init__(self, checkpoint: Path | None, mirror: Mirror | None) -> None:
        self.checkpoint, self.mirror = checkpoint, mirror

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compare, before anything is loaded.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit`` or another.

        Raises:
            MisconfigurationException: On all devices, if they can't have the same checkpoint.
        """
        if trainer.world_size == 1:
            return
        strategy = trainer.strategy
        first = strategy.broadcast(_fingerprint(self.checkpoint))
        if self._all_have(first, trainer):
            return
        if trainer.is_global_zero and self.mirror is not None:
            rank_zero_info(f"Other machines have an older copy of {self.mirror.url}, and take this one's.")
            self.mirror.upload()
        strategy.barrier()
        other = self.checkpoint is not None and _fingerprint(self.checkpoint) != first
        if other and trainer.local_rank == 0 and self.checkpoint is not None and self.mirror is not None:
            self.mirror.replace(f"{CHECKPOINTS}/{self.checkpoint.name}")
        strategy.barrier()
        if not self._all_have(first, trainer):
            raise MisconfigurationException(
                f"The devices would start from different checkpoints, such as {self.checkpoint or 'none'}: the folder "
                "of the runs (logs) has to be one that all machines share, or in object storage."
            )

    def _all_have(self, first: str, trainer: Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(_fingerprint(self.checkpoint) == first, all=True)


def _fingerprint(checkpoint: Path | None) -> str:
    """Tell checkpoints apart by the checksums that their archives list; folders by the names of their parts."""
    if checkpoint is None or not checkpoint.exists():
        return ""
    if checkpoint.is_dir():
        parts = [f"{file.name} {file.stat().st_size}" for file in sorted(checkpoint.iterdir())]
    else:
        with zipfile.ZipFile(checkpoint) as archive:
            parts = [f"{info.filename} {info.CRC} {info.file_size}" for info in archive.infolist()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
