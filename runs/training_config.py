"""The config that a checkpoint was trained with."""

from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.finding import run_of

STORED = "config"  # the key of a checkpoint under which the config lies, as YAML


def training_config(checkpoint: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Read the config that belongs to a checkpoint; nothing in it is imported or run.

    Args:
        checkpoint: The file, or the folder of a sharded checkpoint.
        content: What it holds.

    Returns:
        The config of its run, as ``predict RUN`` takes it, and else the one that the checkpoint brings along; empty
        where there is none.

    Raises:
        MisconfigurationException: If it isn't YAML.
    """
    run = run_of(checkpoint)
    file = run.config if run else None
    try:
        config = yaml.safe_load(content.get(STORED, "") if file is None else file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise MisconfigurationException(
            f"Can't read {file or f'the config in {checkpoint}'}: {type(error).__name__}."
        ) from error
    return config if isinstance(config, dict) else {}
