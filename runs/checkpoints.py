"""Finds checkpoints in a folder, and looks into them safely."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from runs.class_names import ClassNames, same_name, told_apart
from runs.sharded_checkpoint import is_sharded, load_sharded, read_rest


def newest_whole(folder: Path, keyword: str) -> Path | None:
    """Find a checkpoint by its name.

    Args:
        folder: Where it lies.
        keyword: ``best`` or ``last``; of ``last`` the one before, ``previous``, if the disk has damaged it.

    Returns:
        The file, or the folder of a sharded checkpoint; None if there is none.
    """
    file = folder / f"{keyword}.ckpt"
    previous = folder / "previous.ckpt"
    if keyword != "last" or not previous.exists():
        return file if file.exists() else None
    if _is_whole(file):
        return file
    if _is_whole(previous):
        rank_zero_warn(f"{file} is {'damaged' if file.exists() else 'missing'}: going on from {previous}.")
        return previous
    return file if file.exists() else previous


def _is_whole(file: Path) -> bool:
    """Check all checksums of the archive; of a sharded checkpoint, that its last part has been written."""
    if file.is_dir():
        return is_sharded(file)
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, ValueError, EOFError, zlib.error):
        return False


def epochs_of(checkpoint: Path) -> int | None:
    """Read how many epochs had been trained when a checkpoint was saved, without reading its weights.

    Args:
        checkpoint: The file, or the folder of a sharded checkpoint.

    Returns:
        The number; None if the file can't be read.
    """
    return _number_in(checkpoint, "loops", "fit_loop", "epoch_progress", "current", "processed")


def step_of(checkpoint: Path) -> int | None:
    """Read how many optimizer steps had been made when a checkpoint was saved; arguments as in ``epochs_of``."""
    return _number_in(checkpoint, "global_step")


def _number_in(checkpoint: Path, *keys: str) -> int | None:
    content: Any
    try:
        if checkpoint.is_dir():
            content = read_rest(checkpoint)
        else:
            content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        for key in keys:
            content = content[key]
        return int(content)
    except Exception:  # PyTorch raises whatever damaged bytes lead to
        return None


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """Look into a checkpoint of a classifier, without running any code it may hold.

    Args:
        checkpoint: The file, or the folder of a sharded checkpoint.

    Returns:
        Its content, ``hyper_parameters`` among it; of a sharded one all but weights and optimizer.

    Raises:
        MisconfigurationException: If the file is damaged or not a checkpoint of a classifier.
    """
    try:
        content: Any
        if checkpoint.is_dir():
            content = read_rest(checkpoint)
        else:
            content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
            if not _is_whole(checkpoint):  # PyTorch doesn't look at checksums
                raise ValueError("checksum")
    except Exception as error:  # PyTorch raises whatever damaged bytes lead to, an IndexError for instance
        raise MisconfigurationException(
            f"Can't read the checkpoint {checkpoint}: it is damaged or no checkpoint ({type(error).__name__})."
        ) from error
    arguments = content.get("hyper_parameters") if isinstance(content, dict) else None
    if not isinstance(arguments, dict) or not {"backbone", "class_names"} <= set(arguments):
        raise MisconfigurationException(f"{checkpoint} is no checkpoint of ImageClassifier.")
    return dict(content)


def read_trained(checkpoint: Path) -> dict[str, Any]:
    """Read a checkpoint of a classifier with its weights, without running any code it may hold.

    Args:
        checkpoint: The file, or the folder of a sharded checkpoint.

    Returns:
        Its content, ``hyper_parameters`` and ``state_dict`` among it; with an average of the weights, that one.

    Raises:
        MisconfigurationException: If it is damaged or not a checkpoint of a classifier.
    """
    content = read_checkpoint(checkpoint)
    try:
        content = load_sharded(checkpoint) if checkpoint.is_dir() else content
    except Exception as error:  # as above
        raise MisconfigurationException(
            f"Can't read the weights of {checkpoint}: it is damaged ({type(error).__name__})."
        ) from error
    if not isinstance(content.get("state_dict"), dict):
        raise MisconfigurationException(f"{checkpoint} holds no weights.")
    return content


def compare_classes(checkpoint: Path, stored: list[str], data: list[str]) -> None:
    """Refuse to use a checkpoint with data of other classes, or of another order.

    Names are compared as ``same_name`` does.

    Args:
        checkpoint: The file, for the message.
        stored: Its class names.
        data: The data's class names.

    Raises:
        MisconfigurationException: If they differ.
    """
    if len(stored) != len(data):
        raise MisconfigurationException(
            f"{checkpoint} knows {len(stored)} classes, but the data has {len(data)}: they have to be the same."
        )
    for index, (mine, theirs) in enumerate(zip(stored, data, strict=True)):
        if not same_name(mine, theirs):
            there, here = told_apart(mine, theirs)
            found, differs = ClassNames(stored), f"class {index} is {there} there and {here} here"
            if len({found.find(name) for name in data} - {None}) == len(stored):
                raise MisconfigurationException(
                    f"{checkpoint} has the classes of the data in another order, {differs}: begin a new training with "
                    "the checkpoint as model.weights, where each class keeps its weights."
                )
            raise MisconfigurationException(f"{checkpoint} has other classes than the data: {differs}.")
