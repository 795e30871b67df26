"""Writes files so that they are whole at any moment, whatever ends the process."""

import os
import shutil
import tempfile
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name and rename it, so that an interruption leaves the old one whole.

    Args:
        path: The file; its folder is made if necessary.
        content: Text, which becomes UTF-8 (but for names of files that aren't), or bytes.

    Raises:
        MisconfigurationException: If the folder can't be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
            Path(draft).chmod(0o644)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MisconfigurationException(f"Can't write {path}: {error.strerror}.") from error


def publish(draft: Path, path: Path) -> None:
    """Give a complete draft its name, once it is on the disk and not only on its way there.

    Args:
        draft: The draft, a file or a folder.
        path: The name. What had it before becomes ``previous.ckpt``, if the name is ``last.ckpt``.
    """
    for file in [draft] if draft.is_file() else [file for file in draft.rglob("*") if file.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    if path.exists():
        before = path.with_name("previous.ckpt")
        if path.name == "last.ckpt":
            remove(before)
            path.rename(before)
        elif path.is_dir():
            remove(path)  # a folder can't be replaced
    draft.replace(path)


def set_damaged_aside(resumed: Path, folder: Path) -> None:
    """Rename a ``last.ckpt`` that is damaged, so that it doesn't take the place of ``previous.ckpt`` at the next save.

    Args:
        resumed: The checkpoint that a run continues from: ``previous.ckpt`` where ``last.ckpt`` is damaged.
        folder: The folder of the run's checkpoints.
    """
    last = folder / "last.ckpt"
    if resumed.name == "previous.ckpt" and resumed.absolute().parent == folder.absolute() and last.exists():
        damaged = last.with_name("damaged.ckpt")
        remove(damaged)
        last.rename(damaged)


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one.

    Args:
        path: Its name.
    """
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
