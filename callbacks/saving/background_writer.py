"""Writes checkpoints behind the training."""

import contextlib
import copy
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import Strategy
from torch import Tensor

from runs import whole_file

_DRAFT = ".draft-"
_SILENT = (Logger.after_save_checkpoint, TensorBoardLogger.after_save_checkpoint)  # these do nothing


class BackgroundWriter:
    """Copies a checkpoint at once, and writes it in a thread, one after the other in the order of the calls.

    While one is written another may wait; a third has to be waited for. That takes as much memory as two checkpoints.
    What goes wrong is raised by the next call. It has the method of Lightning's ``CheckpointIO`` that saves, but isn't
    one, since the command line offers all of them.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._written: deque[Future[None]] = deque()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Copy a checkpoint, and have it written.

        Args:
            checkpoint: Its content, which may change after the call.
            path: The file, which appears when it is complete.
            storage_options: None; files on disks know none.

        Raises:
            MisconfigurationException: If a file before couldn't be written.
        """
        self.wait(but=1)
        self._thread = self._thread or ThreadPoolExecutor(1, "checkpoint")
        self._written.append(self._thread.submit(write, copied(checkpoint), Path(path)))

    def wait(self, but: int = 0) -> None:
        """Wait until the files are on the disk.

        Args:
            but: So many of them may still be on their way.

        Raises:
            MisconfigurationException: If one couldn't be written.
        """
        while self._written and (len(self._written) > but or self._written[0].done()):
            self._written.popleft().result()

    def raise_failures(self) -> None:
        """Wait for nothing.

        Raises:
            MisconfigurationException: If a file couldn't be written.
        """
        self.wait(but=len(self._written))

    def teardown(self) -> None:
        """Wait, and end the thread.

        Raises:
            MisconfigurationException: If a file couldn't be written.
        """
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
            self._thread = None


def copied(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Copy a checkpoint, so that training can continue.

    Args:
        checkpoint: Its content.

    Returns:
        The same with tensors of their own, in the memory of the host.
    """
    on_host = {id(tensor): tensor.detach().cpu() for tensor in _tensors(checkpoint) if tensor.device.type != "cpu"}
    return copy.deepcopy(checkpoint, on_host)


def _tensors(content: object) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, Mapping | list | tuple):
        for part in content.values() if isinstance(content, Mapping) else content:
            yield from _tensors(part)


def write(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        checkpoint: Its content.
        path: The file.

    Raises:
        MisconfigurationException: If the disk is full, or the file can't be written.
    """
    draft = draft_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.remove(draft)
        with draft.open("wb") as file:  # given a path, PyTorch writes too, but can't say what went wrong
            torch.save(checkpoint, file)
        whole_file.publish(draft, path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # PyTorch ends the file after a failure too
        if not isinstance(cause, OSError):
            raise
        raise not_written(path, cause) from error


def draft_of(path: Path) -> Path:
    """Name a file that isn't complete yet.

    Args:
        path: Its name when it is.

    Returns:
        A name in the same folder.
    """
    return path.with_name(f"{_DRAFT}{path.name}")


def not_written(path: Path, error: OSError) -> MisconfigurationException:
    """Say that a checkpoint couldn't be written, and leave no draft.

    Args:
        path: The checkpoint.
        error: What has happened.

    Returns:
        The error to raise.
    """
    with contextlib.suppress(OSError):
        whole_file.remove(draft_of(path))
    return MisconfigurationException(
        f"Can't write the checkpoint {path}: {error.strerror or error}. Free space or choose another folder by --logs; "
        "the checkpoint before is whole."
    )


def writes_behind(trainer: Trainer) -> bool:
    """Check whether a run's checkpoints can be written behind it.

    Args:
        trainer: The trainer.

    Returns:
        True if they are single files that nobody reads as soon as they are saved.
    """
    single = type(trainer.strategy).save_checkpoint is Strategy.save_checkpoint
    usual = type(trainer.strategy.checkpoint_io) is TorchCheckpointIO
    return single and usual and all(type(logger).after_save_checkpoint in _SILENT for logger in trainer.loggers)
