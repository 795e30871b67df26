"""Keeps files of a run as they are while they are uploaded."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datamodules.remote.storage_errors import OF_THE_DISK
from runs.run import CHECKPOINTS


@contextmanager
def pinned(folder: Path, name: str) -> Iterator[Path]:
    """Keep a file as it is now: a checkpoint whatever takes its place, any other whatever is appended.

    Args:
        folder: The folder of the run.
        name: The file's name below it.

    Yields:
        The file to read: a link, a copy, or, where the disk has no space for either, the file itself; it isn't there if
        another has taken its place meanwhile.
    """
    file, pin = folder / name, folder / f".pin-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    kept = pin
    try:
        pin.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            if not (name.startswith(f"{CHECKPOINTS}/") and _linked(file, pin)):
                kept = pin if _copied(file, pin) else file
        yield kept
    finally:
        pin.unlink(missing_ok=True)


def _linked(file: Path, pin: Path) -> bool:
    """Link to a file, unless the file system has no links, or no space for one."""
    try:
        pin.hardlink_to(file)
    except FileNotFoundError:
        raise
    except (OSError, NotImplementedError):
        return False
    return True


def _copied(file: Path, pin: Path) -> bool:
    """Copy a file, unless the disk is full."""
    try:
        shutil.copyfile(file, pin)
    except OSError as error:
        pin.unlink(missing_ok=True)
        if error.errno not in OF_THE_DISK:
            raise
        return False
    return True
