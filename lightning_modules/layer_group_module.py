"""A network in groups of layers, each with a learning rate of its own, that can be frozen."""

from collections.abc import Iterable, Iterator
from typing import Any, Self

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules.optimization import build_optimizer, parameter_groups, restate, warmup_cosine


class LayerGroupModule(L.LightningModule):
    """Base of modules whose network is divided into groups of layers, from input to head.

    The optimizer is built from the hyper-parameters ``optimizer``, ``learning_rate``, ``layer_decay``,
    ``weight_decay``, ``momentum`` and ``warmup_epochs``.

    Attributes:
        network: The network.
        group_names: Names of the parameters of each group, relative to the network.
        frozen_groups: Names of the groups that are frozen now.
    """

    network: nn.Module
    group_names: dict[str, list[str]]

    def __init__(self) -> None:
        super().__init__()
        self.frozen_groups: frozenset[str] = frozenset()

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
        self.frozen_groups = frozenset(groups)
        for group in self.group_names:
            for parameter in self.parameters_of(group):
                parameter.requires_grad = group not in self.frozen_groups
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
        """Build the optimizer, one parameter group for each group of layers, and the schedule.

        Returns:
            Both, the schedule to be stepped after every batch.
        """
        hparams: Any = self.hparams
        optimizer = build_optimizer(self._parameter_groups(), hparams.optimizer, hparams.weight_decay, hparams.momentum)
        total_steps = int(self.trainer.estimated_stepping_batches)
        epochs = max(1, self.trainer.max_epochs or 1)
        scheduler = warmup_cosine(optimizer, round(hparams.warmup_epochs * total_steps / epochs), total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        """Let the configured learning rate and weight decay win over those of a resumed checkpoint."""
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, LambdaLR):
            hparams: Any = self.hparams
            restate(scheduler, self._parameter_groups(), hparams.weight_decay, hparams.momentum)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        hparams: Any = self.hparams
        groups = {name: list(self.parameters_of(name)) for name in self.group_names}
        return parameter_groups(groups, hparams.learning_rate, hparams.layer_decay)
