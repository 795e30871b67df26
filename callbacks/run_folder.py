"""Where the files of a run go, and how they get there whole."""

import os
import tempfile
from pathlib import Path

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException


def run_folder(trainer: Trainer) -> Path:
    """Find the folder of a run: the logger's, or without a logger the trainer's root.

    It has to be called on all devices alike, since the first one tells the others.

    Args:
        trainer: The trainer.

    Returns:
        The folder, which may not exist yet.
    """
    return Path(trainer.log_dir or trainer.default_root_dir)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name and rename it, so that an interruption leaves the old one whole.

    Args:
        path: The file; its folder is made if need be.
        content: Text, which becomes UTF-8, or bytes.

    Raises:
        MisconfigurationException: If the folder can't be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
            Path(draft).chmod(0o644)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MisconfigurationException(f"Can't write {path}: {error.strerror}.") from error
