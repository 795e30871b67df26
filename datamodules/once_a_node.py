"""Lists samples once for all processes of a machine, which map the same memory."""

import shutil
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.samples import Samples

_REFUSED, _COMPLETE = "refused.txt", "complete"


def once_a_node(make: Callable[[], Samples], trainer: Trainer | None) -> Samples:
    """List samples in the first process of each machine; the others map what it has found.

    A million files are searched for, divided and kept in memory once, not once for each device. All processes have to
    call this, since they wait for one another. What they map are files in the folder for temporary files, which are
    removed as soon as all have mapped them; where that folder takes none, every process makes the list itself.

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
    if trainer.local_rank == 0:
        try:
            made = make()
        except MisconfigurationException as error:
            refusal = error
        with suppress(OSError):  # the folder is full, or closed
            _write(folder, made, refusal)
    trainer.strategy.barrier()
    samples = _mapped(folder)
    if refusal is None and samples is None and made is None and (folder / _REFUSED).is_file():
        refusal = MisconfigurationException((folder / _REFUSED).read_text(encoding="utf-8"))
    trainer.strategy.barrier()
    if trainer.local_rank == 0:
        shutil.rmtree(folder, ignore_errors=True)
    if refusal is not None:
        raise refusal
    if samples is None:
        return make() if made is None else made
    return samples


def _write(folder: Path, samples: Samples | None, refusal: MisconfigurationException | None) -> None:
    folder.mkdir(mode=0o700)
    if samples is None:
        (folder / _REFUSED).write_text(str(refusal), encoding="utf-8")
        return
    for name, values in _arrays(samples).items():
        np.save(folder / f"{name}.npy", values)
    (folder / _COMPLETE).touch()


def _mapped(folder: Path) -> Samples | None:
    """Map what was written; None if it wasn't, or not whole."""
    if not (folder / _COMPLETE).exists():
        return None
    return Samples(**{file.stem: np.asarray(np.load(file, mmap_mode="r")) for file in folder.glob("*.npy")})


def _arrays(samples: Samples) -> dict[str, np.ndarray]:
    return {name: values for name, values in vars(samples).items() if values is not None}
