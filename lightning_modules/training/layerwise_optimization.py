"""The optimizer and the schedule of layers in groups, with rates that follow the configuration through a run."""

import math
from typing import Any

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules.training.freezable_layers import FreezableLayers
from lightning_modules.training.optimization import (
    Schedule,
    begin_momentum,
    build_optimizer,
    parameter_groups,
    warmup_cosine,
)

_FINDER = "lightning.pytorch.tuner.lr_finder"


class LayerwiseSchedule(LambdaLR):
    """The schedule that ``LayerwiseOptimization`` builds, told by its class from those of others."""


class LayerwiseOptimization:
    """Builds optimizer and schedule from the hyper-parameters, and keeps each group's rate as they have it.

    Args:
        layers: The layers.
        hparams: ``optimizer``, ``learning_rate``, ``layer_decay``, ``weight_decay``, ``momentum``, ``warmup_epochs``.
    """

    def __init__(self, layers: FreezableLayers, hparams: Any) -> None:
        self.layers = layers
        self.hparams = hparams

    def build(self, trainer: Trainer) -> OptimizerLRScheduler:
        """Build the optimizer, with parameter groups for each group of layers, and the schedule.

        Args:
            trainer: Knows how long the run is.

        Returns:
            Both, the schedule to be stepped after every batch.

        Raises:
            MisconfigurationException: If the run has no end, or no step.
        """
        total_steps, steps_per_epoch = run_length(trainer)
        self.layers.warmup_steps = round(self.layers.warmup_epochs * steps_per_epoch)
        schedule = warmup_cosine(round(self.hparams.warmup_epochs * steps_per_epoch), total_steps)
        groups = self.configured_groups()
        fused = self.hparams.fused and can_fuse(groups, trainer)
        optimizer = build_optimizer(groups, self.hparams.optimizer, self.hparams.momentum, fused)
        scheduler = LayerwiseSchedule(optimizer, [self._schedule_of(group["layers"], schedule) for group in groups])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def restate(self, scheduler: Any) -> None:
        """Put the configured rates and decay, as they are at this step, in the place of the present ones.

        Without a checkpoint that has brought others along, and without layers just unfrozen, nothing changes.

        Args:
            scheduler: What ``LightningModule.lr_schedulers`` returns; the optimizer of our own is changed in place,
                others are left alone.
        """
        if not isinstance(scheduler, LayerwiseSchedule):
            return
        begin_momentum(scheduler.optimizer)
        groups, momentum = self.configured_groups(), self.hparams.momentum
        scheduler.base_lrs = [group["lr"] for group in groups]
        for own, group, factor in zip(scheduler.optimizer.param_groups, groups, scheduler.lr_lambdas, strict=True):
            rate = group["lr"]
            own |= {"initial_lr": rate, "lr": rate * factor(scheduler.last_epoch)}
            own["weight_decay"] = group["weight_decay"]
            if "momentum" in own:
                own |= {"momentum": momentum, "nesterov": momentum > 0}

    def keep_ratios(self, optimizer: Optimizer, scheduler: Any) -> None:
        """Keep the ratios between the rates under the learning-rate finder's scheduler, which sets all to one rate.

        Args:
            optimizer: The optimizer; changed in place.
            scheduler: What ``LightningModule.lr_schedulers`` returns.
        """
        if type(scheduler).__module__ == _FINDER:
            for own, group in zip(optimizer.param_groups, self.configured_groups(), strict=True):
                own["lr"] *= group["lr"] / self.hparams.learning_rate

    def configured_groups(self) -> list[dict[str, Any]]:
        """Make the parameter groups that the configuration asks for.

        Returns:
            What a PyTorch optimizer takes, at the rates that precede any schedule.
        """
        groups = {name: self.layers.parameters(name) for name in self.layers.names}
        hparams = self.hparams
        return parameter_groups(groups, hparams.learning_rate, hparams.layer_decay, hparams.weight_decay)

    def _schedule_of(self, group: str, schedule: Schedule) -> Schedule:
        def factor(step: int) -> float:  # no callable object: LambdaLR would put its attributes into checkpoints
            return schedule(step) * self.layers.rate_factor(group, step)

        return factor


def can_fuse(groups: list[dict[str, Any]], trainer: Trainer) -> bool:
    """Check whether a fused optimizer can train the parameters.

    Args:
        groups: Parameter groups.
        trainer: Knows the precision.

    Returns:
        Whether they are whole and on a GPU, and their gradients aren't scaled.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    whole = all(parameter.is_cuda and not isinstance(parameter, DTensor) for parameter in parameters)
    return whole and not scales_gradients(trainer)


def scales_gradients(trainer: Trainer) -> bool:
    """Check whether gradients are scaled, as in float16, and steps that overflow skipped.

    Args:
        trainer: Knows the precision.

    Returns:
        Whether they are.
    """
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def run_length(trainer: Trainer) -> tuple[int, float]:
    """Count the optimizer steps of a run.

    Args:
        trainer: The trainer.

    Returns:
        Steps of the run, and steps of an epoch.

    Raises:
        MisconfigurationException: If the run has no end, or no step.
    """
    if trainer.limit_train_batches == 0:
        raise MisconfigurationException("trainer.limit_train_batches is 0, which leaves nothing to train on.")
    try:
        total_steps = trainer.estimated_stepping_batches
    except ValueError as error:  # val_check_interval for instance, which is looked at here
        raise MisconfigurationException(f"trainer: {' '.join(str(error).split())}") from error
    trainer.fit_loop.setup_data()  # else the number of batches isn't known yet where max_steps ends the run
    if trainer.num_training_batches == math.inf:
        raise MisconfigurationException(
            "The training data have no length, so that epochs, in which schedule and warm-up are counted, have no end: "
            "set trainer.limit_train_batches to the number of batches of an epoch."
        )
    if total_steps == math.inf:
        raise MisconfigurationException("The schedule has to know its end: set trainer.max_epochs or max_steps.")
    return int(total_steps), math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
