"""Checks options before a run begins and before its folder is made."""

import sys
import warnings
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import Strategy
from torch import nn

from callbacks import Distillation, GradualUnfreezing, TestTimeAugmentation
from callbacks.monitors import check_monitors
from command_line.commands import Commands
from command_line.number_rules import check_pixel_statistics, warn_of_schedule
from datamodules import ImageDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks.image_size import check_image_sizes
from lightning_modules.prediction.preprocessing import evaluated_size
from runs.copies import url_of

_BATCH_NORM = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
_FINDERS = ("lr_finder", "batch_size_finder")
_MONITORS = ("checkpoint", "early_stopping", "unfreezing")


def forget_monitors(config: Any) -> None:
    """Remove the monitors of training from a config: an evaluation doesn't need them and mustn't refuse them.

    Args:
        config: The config of ``validate``, ``test`` or ``predict``; changed in place.
    """
    for name in _MONITORS:
        config[f"{name}.monitor"], config[f"{name}.mode"] = "val/f1", None
    # Lightning tells callbacks apart by their monitors, and misses those of the training
    warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`")


def is_search(config: Any) -> bool:
    """Distinguish a search for a learning rate or a batch size from a training.

    Args:
        config: The config of ``fit``.

    Returns:
        Whether it ends before anything is trained.
    """
    return not config.trainer.fast_dev_run and any(config[f"{name}.enabled"] for name in _FINDERS)


def check_before(command: str, config: Any, trainer: Commands, module: ImageClassifier, data: ImageDataModule) -> None:
    """Refuse options that don't fit each other, before the command leaves anything on the disk.

    Args:
        command: ``fit``, ``validate``, ``test`` or ``predict``.
        config: Its config.
        trainer: The trainer.
        module: The classifier.
        data: The data module, before its ``setup``.

    Raises:
        MisconfigurationException: If something is wrong.
    """
    check_image_sizes(module, module.hparams, training=command == "fit")
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, TestTimeAugmentation):
            callback.check_size(evaluated_size(module.hparams["preprocessing"], module.hparams["image_size"]))
    if command == "fit":
        check_pixel_statistics(config.model)
        warn_of_schedule(config.model, config.trainer)
        if type(trainer.strategy).save_checkpoint is not Strategy.save_checkpoint and url_of(Path(config.logs)):
            raise MisconfigurationException(
                f"--logs is {url_of(Path(config.logs))}, but object storage takes no sharded checkpoints: choose a "
                "folder that all devices share, or another --trainer.strategy."
            )
        check_monitors(trainer, module, data.not_validated)
        for callback in callbacks:
            if isinstance(callback, Distillation):
                callback.load(module, Path(config.logs))
        _check_batch(config, trainer, module, data)


def _check_batch(config: Any, trainer: Commands, module: ImageClassifier, data: ImageDataModule) -> None:
    """Refuse to train BatchNorm with one image at a time, whose statistics would be those of that image."""
    devices = trainer.world_size
    if data.batch_size // devices != 1 or (devices > 1 and config.trainer.sync_batchnorm):
        return
    last = trainer.max_epochs - 1 if trainer.max_epochs and trainer.max_epochs > 0 else sys.maxsize
    frozen: set[str] = set()
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, GradualUnfreezing) and callback.patience is None:
            groups = callback.frozen_groups([*module.group_names], last)
            frozen |= {name for group in groups for name in module.group_names[group]}
    trained = [
        name
        for name, layer in module.network.named_modules()
        if isinstance(layer, _BATCH_NORM) and f"{name}.weight" not in frozen
    ]
    if trained:
        number = f"data.batch_size is {data.batch_size}" + (f" on {devices} devices" if devices > 1 else "")
        raise MisconfigurationException(
            f"{number}, but model.backbone {module.hparams['backbone']} has BatchNorm layers ({trained[0]}, ...), "
            f"which can't be trained with one image at a time: set data.batch_size to {2 * devices} or more, or train "
            "the head alone (unfreezing.epochs [])."
        )
