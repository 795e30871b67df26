"""Leaving images out."""

from pathlib import Path

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.samples import Samples


def without_excluded(samples: Samples, folder: Path, exclude: str) -> Samples:
    """Leave out what a file lists.

    Args:
        samples: The samples.
        folder: What the listed paths are relative to.
        exclude: Text file with one path a line; empty lines and those that begin with ``#`` don't count.

    Returns:
        The other samples, in the same order.

    Raises:
        MisconfigurationException: If the file can't be read, or lists a file that doesn't exist.
    """
    try:
        lines = Path(exclude).read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise MisconfigurationException(f"Can't read data.exclude, {exclude}: {error}.") from error
    listed = [folder / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    absent = next((path for path in listed if not path.is_symlink() and not path.exists()), None)
    if absent:
        raise MisconfigurationException(f"data.exclude, {exclude}, lists {absent}, which doesn't exist.")
    return samples.take(np.flatnonzero(~np.isin(samples.files, [str(path) for path in listed])))
