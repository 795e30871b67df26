"""A network in groups of layers, each with a learning rate of its own, that can be frozen."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Self

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules.optimization import Schedule, build_optimizer, parameter_groups, ramp, restate, warmup_cosine


class LayerGroupModule(L.LightningModule):
    """Base of modules whose network is divided into groups of layers, from input to head.

    The optimizer is built from the hyper-parameters ``optimizer``, ``learning_rate``, ``layer_decay``,
    ``weight_decay``, ``momentum`` and ``warmup_epochs``.

    Attributes:
        network: The network.
        group_names: Names of the parameters of each group, relative to the network.
        frozen_groups: Names of the groups that are frozen now.
        opened_at: Optimizer steps at which groups were unfrozen in mid-training.
        thaw_epochs: Epochs over which the rate of what was just unfrozen rises, fractions allowed.
    """

    network: nn.Module
    group_names: dict[str, list[str]]

    def __init__(self) -> None:
        super().__init__()
        self.frozen_groups: frozenset[str] = frozenset()
        self.opened_at: dict[str, int] = {}
        self.thaw_epochs = 0.0
        self.thaw_steps = 0

    def parameters_of(self, group: str) -> Iterator[nn.Parameter]:
        """Iterate over the parameters of a group of layers.

        Args:
            group: Its name, a key of ``group_names``.

        Yields:
            The parameters.
        """
        for name in self.group_names[group]:
            yield self.network.get_parameter(name)

    def freeze_groups(self, groups: Iterable[str]) -> None:
        """Freeze these groups of layers and no others.

        Args:
            groups: Names of groups. Frozen parameters get no gradient, and frozen layers stay in eval mode, so that
                their BatchNorm statistics stand still.
        """
        frozen = frozenset(groups)
        for group in self.frozen_groups - frozen:
            self.opened_at.setdefault(group, self.global_step)
        self.frozen_groups = frozen
        for group in self.group_names:
            for parameter in self.parameters_of(group):
                parameter.requires_grad = group not in frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; frozen layers stay in evaluation.

        Args:
            mode: Train.

        Returns:
            The module itself.
        """
        super().train(mode)
        if mode and self.frozen_groups:
            for module in self.network.modules():
                parameters = list(module.parameters())
                if parameters and not any(parameter.requires_grad for parameter in parameters):
                    module.eval()
        return self

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer, with parameter groups for each group of layers, and the schedule.

        Returns:
            Both, the schedule to be stepped after every batch.

        Raises:
            MisconfigurationException: If the run has no end, or no step.
        """
        hparams: Any = self.hparams
        groups = self._parameter_groups()
        if self.trainer.limit_train_batches == 0:
            raise MisconfigurationException("trainer.limit_train_batches is 0, which leaves nothing to train on.")
        try:
            total_steps = self.trainer.estimated_stepping_batches
        except ValueError as error:  # val_check_interval for instance, which is looked at here
            raise MisconfigurationException(f"trainer: {' '.join(str(error).split())}") from error
        if total_steps == math.inf:
            raise MisconfigurationException("The schedule has to know its end: set trainer.max_epochs or max_steps.")
        total_steps = int(total_steps)
        self.trainer.fit_loop.setup_data()  # else the number of batches isn't known yet where max_steps ends the run
        steps_per_epoch = self.trainer.num_training_batches / self.trainer.accumulate_grad_batches
        self.thaw_steps = round(self.thaw_epochs * steps_per_epoch)
        schedule = warmup_cosine(round(hparams.warmup_epochs * steps_per_epoch), total_steps)
        optimizer = build_optimizer(groups, hparams.optimizer, hparams.momentum)
        scheduler = LambdaLR(optimizer, [self._schedule_of(group["layers"], schedule) for group in groups])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _schedule_of(self, group: str, schedule: Schedule) -> Schedule:
        """Hold a group's rate at 0 while it is frozen, and let it rise anew when it is opened."""

        def factor(step: int) -> float:
            if group in self.frozen_groups:
                return 0.0
            opened = self.opened_at.get(group, 0)
            return schedule(step) * (ramp(step - opened, self.thaw_steps) if opened else 1.0)

        return factor

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Keep the ratios between the rates under another scheduler, the learning-rate finder's: it sets all alike.

        Args:
            optimizer: The optimizer; changed in place.
        """
        scheduler = self.lr_schedulers()
        if scheduler is not None and not isinstance(scheduler, LambdaLR):
            hparams: Any = self.hparams
            for own, group in zip(optimizer.param_groups, self._parameter_groups(), strict=True):
                own["lr"] *= group["lr"] / hparams.learning_rate

    def on_train_start(self) -> None:
        """Let the configured learning rate and weight decay win over those of a resumed checkpoint."""
        self._restate()

    def on_train_epoch_start(self) -> None:
        """Start the learning rates of what a callback has just unfrozen."""
        self._restate()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep when groups were unfrozen, on which their rates depend.

        Args:
            checkpoint: What is about to be saved; changed in place.
        """
        super().on_save_checkpoint(checkpoint)
        checkpoint["opened_at"] = dict(self.opened_at)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore when groups were unfrozen.

        Args:
            checkpoint: What is being loaded.
        """
        super().on_load_checkpoint(checkpoint)
        self.opened_at = dict(checkpoint.get("opened_at", {}))

    def _restate(self) -> None:
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, LambdaLR):
            hparams: Any = self.hparams
            restate(scheduler, self._parameter_groups(), hparams.momentum)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        hparams: Any = self.hparams
        groups = {name: list(self.parameters_of(name)) for name in self.group_names}
        return parameter_groups(groups, hparams.learning_rate, hparams.layer_decay, hparams.weight_decay)
