"""The config stored in a checkpoint, for checkpoints without the folder of their run."""

import json
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.trusted_classes import TRUSTED, untrusted_names
from runs.checkpoints import read_checkpoint
from runs.run import Run

STORED = "config"  # the key of a checkpoint under which RunConfig leaves the config, as YAML
# What belongs to the machine that trained, or to the one run
_LEFT = {"logs", "name", "ckpt_path"}
_LEFT_OF_TRAINER = {
    "accelerator", "strategy", "devices", "num_nodes", "logger", "callbacks", "plugins", "profiler", "default_root_dir"
}  # fmt: skip
_LINKED = ("class_names", "image_size", "preprocessing")  # arguments of the model that come from the data


def config_from_checkpoint(checkpoint: Path | None, run: Run | None) -> str:
    """Build a config from a checkpoint alone.

    Args:
        checkpoint: The checkpoint; None takes the best one of the run.
        run: The run it belongs to, if any.

    Returns:
        YAML, which ``--config`` takes in the place of a file.

    Raises:
        MisconfigurationException: If the checkpoint can't be read, or names classes that this project doesn't trust.
    """
    if checkpoint is None:
        assert run is not None
        checkpoint = run.checkpoint("best")
    content = read_checkpoint(checkpoint)
    if STORED not in content:
        return json.dumps(_from_hyper_parameters(content["hyper_parameters"]))
    stored = yaml.safe_load(content[STORED])
    config = {key: value for key, value in stored.items() if key not in _LEFT}
    config["trainer"] = {key: value for key, value in stored["trainer"].items() if key not in _LEFT_OF_TRAINER}
    text = json.dumps(config)
    for name in untrusted_names([text]):
        raise MisconfigurationException(
            f"{checkpoint} names {name}, and its config is taken for classes of {', '.join(sorted(TRUSTED))} only: "
            "give a config of your own by --config, and the checkpoint by --ckpt_path."
        )
    return text


def is_elsewhere(content: dict[str, Any], root: str, typed: bool, run: Run | None) -> bool:
    """Check whether data lie at another place than those that a checkpoint was trained on.

    Args:
        content: What the checkpoint holds.
        root: Where the data lie.
        typed: Whether that was typed, which is what counts where a checkpoint doesn't say where its own lay.
        run: The run of the checkpoint, which says from which directory a relative path counts.

    Returns:
        Whether it is another place.
    """
    stored = yaml.safe_load(content.get(STORED, "")) or {}
    own = ((stored.get("data") or {}).get("init_args") or {}).get("root")
    if own is None:
        return typed
    return (run.path_meant(own) if run else Path(own)).resolve() != Path(root).resolve()


def _from_hyper_parameters(arguments: dict[str, Any]) -> dict[str, Any]:
    """Describe a checkpoint of an older version, which stores how images are prepared, but not where they were."""
    size = int(arguments.get("image_size", 400))
    return {
        "model": {key: value for key, value in arguments.items() if key not in _LINKED},
        "data": {"class_path": "datamodules.ImageFolderDataModule", "init_args": {"image_size": size}},
    }
