"""Places the cache of pictures, and limits its size."""

import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from datamodules.cache.picture_cache import PictureCache
from datamodules.cache.user_cache import user_cache

try:
    import fcntl
except ImportError:  # Windows, where a folder in memory isn't shared between devices
    fcntl = None  # type: ignore[assignment]

Kind = Literal["none", "ram", "disk"]

_MEMORY = Path("/dev/shm")  # noqa: S108
_MEMINFO = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")
_PREFIX = "carspotter-pictures-"
_LOCK = ".lock"
_SHARE = 0.5  # of what is free
_LOOKS = 6  # at the beginnings of epochs of training and validation


class CacheFolder:
    """A folder of pictures, shared by the processes of a run on a machine, or by all runs.

    A folder in memory is removed by the last process that leaves it, or, if all were killed, by the next run: each
    process holds a lock on a file in it, which the system releases when the process ends.

    Args:
        kind: ``ram`` or ``disk``.
        folder: Of ``disk``; None takes the user's cache (``XDG_CACHE_HOME``, else ``~/.cache``).
        limit: Bytes of all pictures in it; None takes half of what is free.

    Raises:
        MisconfigurationException: If the folder can't be made.
    """

    def __init__(self, kind: Literal["ram", "disk"], folder: str | None = None, limit: int | None = None) -> None:
        self.kind = kind
        self.path = _memory() if kind == "ram" else Path(folder) if folder else user_cache("pictures")
        try:
            if kind == "ram":
                _remove_abandoned(self.path.parent)
                weakref.finalize(self, _leave, self.path, _locked(self.path / _LOCK), os.getpid())
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MisconfigurationException(
                f"Can't make the folder of data.cache, {self.path}: {error.strerror}."
            ) from error
        self.used = _size_of(self.path)
        self.limit = limit if limit is not None else int(_SHARE * (self._free() + self.used))
        self._looks = 0

    def cache(self, processes: int) -> PictureCache:
        """Make the cache for a number of processes, each of which may add an equal share.

        Args:
            processes: Loading processes of all devices of this machine.

        Returns:
            The cache.
        """
        budget = min(self.limit - self.used, int(0.9 * self._free()))
        return PictureCache(self.path, max(0, budget) // max(1, processes))

    def tell_if_full(self) -> None:
        """Warn once when most of what it may hold is used, so that further pictures are made each time.

        The first epochs fill it; later ones needn't look at all its files again.
        """
        self._looks += 1
        if self._looks <= _LOOKS and _size_of(self.path) > 0.95 * self.limit:
            self._looks = _LOOKS
            advice = "data.cache disk" if self.kind == "ram" else "or empty the folder"
            rank_zero_warn(
                f"data.cache is full: {self.limit / 1e9:.1f} GB in {self.path}. Other pictures are decoded in each "
                f"epoch: raise data.cache_gb, {advice}."
            )

    def _free(self) -> int:
        free = shutil.disk_usage(self.path).free
        return min(free, _memory_left()) if self.kind == "ram" else free


def _memory_left() -> int:
    """Compute the bytes that the machine has left, or the container: files in memory count there as well."""
    left = [2**62]
    with suppress(OSError, ValueError, StopIteration):
        lines = _MEMINFO.read_text().splitlines()
        left.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):  # there is no container, or no limit in it ("max")
        left.append(int((_CONTAINER / "memory.max").read_text()) - int((_CONTAINER / "memory.current").read_text()))
    return max(0, min(left))


def _memory() -> Path:
    base = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    user = os.getuid() if hasattr(os, "getuid") else "user"
    run = os.environ.get("MASTER_PORT") if fcntl else None  # which the devices of a run have in common
    return base / f"{_PREFIX}{user}" / (run or str(os.getpid()))


def _size_of(folder: Path) -> int:
    size = 0
    for part in os.scandir(folder):
        if part.is_dir():
            with suppress(OSError):  # others write in it
                size += sum(file.stat().st_size for file in os.scandir(part.path))
    return size


def _locked(file: Path) -> int:
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # somebody who took the folder for an abandoned one has just removed it
            handle = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
            if fcntl:
                fcntl.flock(handle, fcntl.LOCK_SH)
            if file.exists():
                return handle
            os.close(handle)


def _leave(folder: Path, handle: int, process: int) -> None:
    """Remove the folder unless others use it."""
    if os.getpid() != process:  # forked from the one that made it
        return
    try:
        if fcntl:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # another device does it
        pass
    finally:
        os.close(handle)


def _remove_abandoned(folder: Path) -> None:
    """Remove the folders of runs that were killed."""
    if not fcntl or not folder.is_dir():
        return
    for other in folder.iterdir():
        with suppress(OSError):
            _leave(other, os.open(other / _LOCK, os.O_RDWR), os.getpid())
