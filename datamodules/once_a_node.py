"""Lists samples once for all processes of a machine, which map the same memory."""

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import torch.distributed
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.remote.draft import drafted
from datamodules.samples import Samples

_REFUSAL = "refusal.txt"
_LONGEST = timedelta(days=7)  # a process group's own timeout is too short for a million files


def once_a_node(make: Callable[[], Samples], trainer: Trainer | None) -> Samples:
    """List samples in the first process of each machine; the others map what it has found.

    A million files are searched for and divided once, not once for each device, and take the memory of one device. All
    processes have to call this, since they wait for one another. What they map are files in the folder for temporary
    files, which are removed as soon as all have mapped them; where that folder takes none, every process makes the list
    itself.

    Args:
        make: Makes the list.
        trainer: The trainer; None, or one with a single process on each machine, calls ``make`` alone.

    Returns:
        The samples; read-only where they are mapped.

    Raises:
        MisconfigurationException: In all processes of a machine, if ``make`` does.
    """
    if trainer is None or trainer.world_size == 1 or trainer.num_devices == 1:
        return make()
    token = trainer.strategy.broadcast(uuid.uuid4().hex)
    folder = Path(tempfile.gettempdir(), f"carspotter-{token}-{trainer.node_rank}")
    made, refusal = None, None
    with patient_barrier(trainer) as wait_for_all:
        if trainer.local_rank == 0:
            try:
                made = make()
            except MisconfigurationException as error:
                refusal = error
            with suppress(OSError):  # the folder is full, or closed
                _write(folder, made, refusal)
        wait_for_all()
        if trainer.local_rank != 0 and (folder / _REFUSAL).is_file():
            refusal = MisconfigurationException(
                (folder / _REFUSAL).read_text(encoding="utf-8", errors="surrogateescape")
            )
        samples = _mapped(folder) if refusal is None else None
        wait_for_all()
    if trainer.local_rank == 0:
        shutil.rmtree(folder, ignore_errors=True)
    if refusal is not None:
        raise refusal
    if samples is None:
        return make() if made is None else made
    return samples


@contextmanager
def patient_barrier(trainer: Trainer) -> Iterator[Callable[[], object]]:
    """Let processes wait for one that works for long; they still end if it does.

    Args:
        trainer: The trainer, whose processes all have to call this.

    Yields:
        Waits until all processes have called it.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        yield trainer.strategy.barrier
        return
    group = torch.distributed.new_group(backend="gloo", timeout=_LONGEST)
    try:
        yield partial(torch.distributed.barrier, group=group)
    finally:
        torch.distributed.destroy_process_group(group)


def _write(folder: Path, samples: Samples | None, refusal: MisconfigurationException | None) -> None:
    with drafted(folder) as draft:
        draft.mkdir(mode=0o700)
        if samples is None:
            (draft / _REFUSAL).write_text(str(refusal), encoding="utf-8", errors="surrogateescape")
        for name, values in ({} if samples is None else vars(samples)).items():
            if values is not None:
                np.save(draft / f"{name}.npy", values)


def _mapped(folder: Path) -> Samples | None:
    """Map what was written; None if it wasn't."""
    if not folder.is_dir():
        return None
    return Samples(**{file.stem: np.asarray(np.load(file, mmap_mode="r")) for file in folder.glob("*.npy")})
