"""Finds the checkpoint that is meant, and looks into it safely."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

_KEYWORDS = {"best", "last"}


def find_checkpoint(wanted: str, experiment: Path, prefer: str) -> Path:
    """Turn what stands behind ``--ckpt_path`` into a file.

    Args:
        wanted: A file, the folder of a run, or ``best`` or ``last``: that of the experiment's newest run that has one.
        experiment: Folder of the experiment's runs, ``version_0`` and so on.
        prefer: ``best`` or ``last``, for the folder of a run.

    Returns:
        The file.

    Raises:
        MisconfigurationException: If there is none.
    """
    if wanted in _KEYWORDS:
        for run in sorted(experiment.glob("version_*"), key=_version, reverse=True):
            file = run / "checkpoints" / f"{wanted}.ckpt"
            if file.is_file():
                return file
        raise MisconfigurationException(
            f"--ckpt_path is {wanted}, but no run in {experiment} has checkpoints/{wanted}.ckpt: train first, or give "
            "a checkpoint file or the folder of a run."
        )
    path = Path(wanted)
    if path.is_dir():
        for name in sorted(_KEYWORDS, key=lambda keyword: keyword != prefer):
            for folder in (path / "checkpoints", path):
                if (folder / f"{name}.ckpt").is_file():
                    return folder / f"{name}.ckpt"
        raise MisconfigurationException(f"--ckpt_path is the folder {path}, which holds no checkpoints/{prefer}.ckpt.")
    if not path.is_file():
        raise MisconfigurationException(
            f"--ckpt_path is {path}, but there is no such file: give a checkpoint, the folder of a run, best or last."
        )
    return path


def _version(run: Path) -> int:
    number = re.fullmatch(r"version_(\d+)", run.name)
    return int(number[1]) if number else -1


def run_of(checkpoint: Path) -> Path | None:
    """Find the run that a checkpoint belongs to.

    Args:
        checkpoint: The file.

    Returns:
        The folder of the run, or None if the file lies elsewhere.
    """
    run = checkpoint.absolute().parent.parent
    return run if checkpoint.absolute().parent.name == "checkpoints" and _version(run) >= 0 else None


def read_hyper_parameters(checkpoint: Path) -> dict[str, Any]:
    """Read the arguments that a checkpoint's classifier was built with, without running any code it may hold.

    Args:
        checkpoint: The file.

    Returns:
        The arguments of ``ImageClassifier``.

    Raises:
        MisconfigurationException: If the file is damaged or not a checkpoint of a classifier.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise MisconfigurationException(
            f"Can't read the checkpoint {checkpoint}: it is damaged or no checkpoint ({type(error).__name__})."
        ) from error
    hyper_parameters = content.get("hyper_parameters") if isinstance(content, dict) else None
    if not isinstance(hyper_parameters, dict) or not {"backbone", "class_names"} <= set(hyper_parameters):
        raise MisconfigurationException(f"{checkpoint} is no checkpoint of ImageClassifier.")
    return hyper_parameters


def compare_classes(checkpoint: Path, stored: list[str], data: list[str]) -> None:
    """Refuse to use a checkpoint with data of other classes, or of another order.

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
        if mine != theirs:
            raise MisconfigurationException(
                f"{checkpoint} has other classes than the data: class {index} is {mine!r} there and {theirs!r} here."
            )
