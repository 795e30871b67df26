"""The layers of a network in groups, each of which can be frozen and unfrozen."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from lightning_modules.training.optimization import ramp


class FreezableLayers:
    """Tracks which groups of layers are frozen, and when the others were unfrozen, which sets their learning rates.

    Args:
        network: The network.
        names: Names of the parameters of each group, relative to the network; groups from input to head.

    Attributes:
        names: As above.
        frozen: Names of the groups that are frozen now.
        unfrozen_at: Optimizer steps at which groups were unfrozen in mid-training.
        warmup_epochs: Epochs over which the rate of what was just unfrozen rises, fractions allowed.
        warmup_steps: The same in optimizer steps; known when the optimizer is built.
    """

    def __init__(self, network: nn.Module, names: Mapping[str, list[str]]) -> None:
        self.network = network
        self.names = dict(names)
        self.frozen: frozenset[str] = frozenset()
        self.unfrozen_at: dict[str, int] = {}
        self.warmup_epochs = 0.0
        self.warmup_steps = 0

    def parameters(self, group: str) -> Iterator[nn.Parameter]:
        """Iterate over the parameters of a group of layers.

        Args:
            group: Its name.

        Yields:
            The parameters.
        """
        for name in self.names[group]:
            yield self.network.get_parameter(name)

    def freeze(self, groups: Iterable[str], step: int) -> None:
        """Freeze these groups of layers and no others: frozen parameters get no gradient.

        Args:
            groups: Names of groups.
            step: The present optimizer step, which is noted for each group that is thereby unfrozen.
        """
        frozen = frozenset(groups)
        for group in self.frozen - frozen:
            self.unfrozen_at.setdefault(group, step)
        self.frozen = frozen
        for group in self.names:
            for parameter in self.parameters(group):
                parameter.requires_grad = group not in frozen

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Continue with the steps of a checkpoint at which groups were unfrozen; old ones have another key for them."""
        self.unfrozen_at = dict(checkpoint.get("unfrozen_at", checkpoint.get("opened_at", {})))

    def leave_training_mode(self) -> None:
        """Put frozen layers into evaluation mode, so that their BatchNorm statistics stand still."""
        if not self.frozen:
            return
        for module in self.network.modules():
            parameters = list(module.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()

    def rate_factor(self, group: str, step: int) -> float:
        """Hold a group's learning rate at 0 while it is frozen, and let it rise when it is unfrozen.

        Args:
            group: Its name.
            step: The optimizer step.

        Returns:
            A factor of the scheduled rate, from 0 to 1.
        """
        if group in self.frozen:
            return 0.0
        unfrozen = self.unfrozen_at.get(group, 0)
        # schedulers ask for step 0 before they are told how far a resumed run is, perhaps without a warm-up by now
        return ramp(step - unfrozen, self.warmup_steps) if 0 < unfrozen <= step else 1.0
