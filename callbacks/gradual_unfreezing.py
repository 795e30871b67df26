"""Unfreezes a pretrained network from its head towards its input."""

import math
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from callbacks.frozen_for_good import advice, epochs_allowed, patience_advice
from callbacks.score_direction import Mode, mode_of
from lightning_modules import ImageClassifier
from lightning_modules.sharding import FullySharded


class GradualUnfreezing(Callback):
    """Trains the head first, then one more group of layers at a time (Howard & Ruder, ULMFiT, 2018, section 3.3).

    What is frozen follows from the schedule and the epoch, or from the saved state, so that a resumed run continues
    correctly. The optimizer knows all groups from the start; a frozen layer gets no gradient, costs no backward pass
    and keeps its BatchNorm statistics.

    Of ``every_n_epochs``, ``epochs`` and ``patience`` one can be given; without any nothing is ever frozen.

    Args:
        every_n_epochs: Unfreeze a further group every so many epochs.
        epochs: Unfreeze a further group at the start of each of these epochs, counted from 0; an epoch may be named
            twice. Groups beyond the end of the list stay frozen, so that an empty list trains the head alone (a linear
            probe).
        patience: Unfreeze a further group when ``monitor`` has not improved for so many validations. All groups that
            are due are unfrozen at the start of the next epoch.
        monitor: Name of the score that ``patience`` watches.
        mode: ``max`` if larger is better, ``min`` if smaller is; null follows from the name of the score.
        min_delta: Smallest change that counts as improvement.
        warmup_epochs: Epochs over which the learning rate of what was just unfrozen rises, fractions allowed.

    Raises:
        MisconfigurationException: If the schedule isn't valid, or the mode contradicts the score.
    """

    def __init__(
        self,
        every_n_epochs: int | None = None,
        epochs: list[int] | None = None,
        patience: int | None = None,
        monitor: str = "val/f1",
        mode: Mode | None = None,
        min_delta: float = 0.0,
        warmup_epochs: float = 0.5,
    ) -> None:
        if sum(given is not None for given in (every_n_epochs, epochs, patience)) > 1:
            raise MisconfigurationException("unfreezing takes one of every_n_epochs, epochs and patience.")
        for name, value in (("every_n_epochs", every_n_epochs), ("patience", patience)):
            if value is not None and value < 1:
                raise MisconfigurationException(
                    f"unfreezing.{name} is {value}: it has to be 1 or more, or null to freeze nothing."
                )
        if epochs is not None and (sorted(epochs) != list(epochs) or any(epoch < 1 for epoch in epochs)):
            raise MisconfigurationException(
                f"unfreezing.epochs is {epochs}: they have to rise and start at 1 or later."
            )
        if warmup_epochs < 0:
            raise MisconfigurationException(f"unfreezing.warmup_epochs is {warmup_epochs}: it has to be 0 or more.")
        self.every_n_epochs = every_n_epochs
        self.epochs = epochs
        self.patience = patience
        self.monitor = monitor
        self.sign = 1 if patience is None or mode_of("unfreezing", monitor, mode) == "max" else -1
        self.min_delta = min_delta
        self.warmup_epochs = warmup_epochs
        self.stalls, self.unfrozen, self.waited, self.best = 0, 0, 0, float("-inf")

    @property
    def active(self) -> bool:
        """Whether anything is frozen at all."""
        return any(given is not None for given in (self.every_n_epochs, self.epochs, self.patience))

    def frozen_groups(self, groups: list[str], epoch: int) -> list[str]:
        """Say what is frozen in an epoch.

        Args:
            groups: Names of all groups, from input to head.
            epoch: The epoch, counted from 0; with ``patience`` it is the present one, whatever is given.

        Returns:
            The names of the frozen groups, from input towards the head; never the head itself.
        """
        if not self.active:
            return []
        if self.patience is not None:
            unfrozen = self.unfrozen
        elif self.every_n_epochs is not None:
            unfrozen = epoch // self.every_n_epochs
        else:
            unfrozen = sum(at <= epoch for at in self.epochs or [])
        return groups[: max(0, len(groups) - 1 - unfrozen)]

    def is_complete(self, groups: list[str], epoch: int) -> bool:
        """Check whether no further group will be unfrozen after the start of an epoch.

        Args:
            groups: Names of all groups, from input to head.
            epoch: The epoch, counted from 0.

        Returns:
            True if the set of frozen groups never changes again.
        """
        if self.epochs is not None and all(at <= epoch for at in self.epochs):
            return True
        return not self.frozen_groups(groups, epoch)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Freeze before the strategy wraps the model, so that frozen layers cause no traffic between devices.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit``; in others nothing is trained.

        Raises:
            MisconfigurationException: If the strategy can't train a network that is unfrozen gradually.
        """
        if stage != "fit":
            return
        assert isinstance(pl_module, ImageClassifier)
        pl_module.layers.unfrozen_at = {}  # of an earlier training; a checkpoint brings its own
        if not self.active:
            return
        self.stalls, self.unfrozen, self.waited, self.best = 0, 0, 0, float("-inf")
        if not isinstance(trainer.strategy, DDPStrategy | FullySharded | SingleDeviceStrategy):
            raise MisconfigurationException(
                "unfreezing works on one device, with ddp and with configs/strategy/fsdp.yaml, not with "
                f"{type(trainer.strategy).__name__}."
            )
        pl_module.layers.warmup_epochs = self.warmup_epochs
        pl_module.freeze_groups(self.frozen_groups([*pl_module.group_names], 0))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Unfreeze what a resumed run had unfrozen: Lightning doesn't announce the epoch that a run resumes with.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if self.active:
            self.freeze_for(trainer, pl_module, trainer.current_epoch)
            self._announce(trainer, pl_module, "")
            self._tell_what_stays_frozen(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Unfreeze what the schedule unfreezes in this epoch; arguments as in ``on_train_start``."""
        self.unfrozen = self.stalls
        unfrozen = self.freeze_for(trainer, pl_module, trainer.current_epoch) if self.active else []
        if unfrozen:
            self._announce(trainer, pl_module, f"unfroze {', '.join(unfrozen)}; ")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report what ``patience`` has left frozen; arguments as in ``on_train_start``."""
        assert isinstance(pl_module, ImageClassifier)
        never = ", ".join(name for name in pl_module.group_names if name in pl_module.frozen_groups)
        if self.patience is not None and never and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            rank_zero_warn(
                f"Never unfrozen: {never}, since {self.monitor} did not stall often enough. Lower "
                "unfreezing.patience, raise unfreezing.min_delta, or train longer (trainer.max_epochs)."
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check whether the score stalls; arguments as in ``on_train_start``.

        Raises:
            MisconfigurationException: If there is no such score.
        """
        if self.patience is None or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics))
            raise MisconfigurationException(f"unfreezing.monitor is {self.monitor!r}, but there are only {known}.")
        # devices that went by scores of their own, as train/loss is, would freeze different layers
        score = self.sign * float(trainer.strategy.broadcast(float(trainer.callback_metrics[self.monitor])))
        self.waited += 1
        if score > self.best + self.min_delta:
            self.best, self.waited = score, 0
        elif self.waited >= self.patience:
            self.stalls, self.waited = self.stalls + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Say how far ``patience`` has come, for the checkpoint.

        Returns:
            Plain values.
        """
        return {"stalls": self.stalls, "unfrozen": self.unfrozen, "waited": self.waited, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where a checkpoint stood.

        Args:
            state_dict: What ``state_dict`` returned.
        """
        self.stalls, self.waited, self.best = state_dict["stalls"], state_dict["waited"], state_dict["best"]
        self.unfrozen = state_dict.get("unfrozen", self.stalls)  # which earlier versions didn't tell apart

    def freeze_for(self, trainer: Trainer, module: LightningModule, epoch: int) -> list[str]:
        """Freeze what the schedule freezes in an epoch, on all devices alike.

        Args:
            trainer: The trainer.
            module: The classifier.
            epoch: The epoch, counted from 0.

        Returns:
            The names of the groups that have thereby been unfrozen.
        """
        assert isinstance(module, ImageClassifier)
        before = module.frozen_groups
        frozen = self.frozen_groups([*module.group_names], epoch)
        if frozenset(frozen) == before:
            return []
        module.freeze_groups(frozen)
        if isinstance(trainer.strategy, DDPStrategy):
            # DDP synchronises only what required gradients when it wrapped the model: layers unfrozen later would drift
            # apart on the devices without a word (pytorch-lightning #20340). Wrapping again registers them.
            trainer.strategy.model = module
            trainer.strategy.configure_ddp()
        return [name for name in module.group_names if name in before - set(frozen)]

    def _tell_what_stays_frozen(self, trainer: Trainer, module: LightningModule) -> None:
        """Say it before anything is trained: with ``patience``, what stays frozen however often the score stalls."""
        assert isinstance(module, ImageClassifier)
        groups, epochs = [*module.group_names], epochs_allowed(trainer)
        if epochs is None or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if self.patience is not None:
            waited = self.waited if math.isfinite(self.best) else -1
            frozen = self.frozen_groups(groups, trainer.current_epoch)
            lack = patience_advice(trainer, frozen, epochs, self.patience, waited, self.monitor) if frozen else None
            if lack:
                rank_zero_warn(lack)
            return
        frozen = self.frozen_groups(groups, epochs - 1)
        if self.epochs == []:
            names = ", ".join(frozen)
            rank_zero_info(f"unfreezing.epochs is []: the head alone is trained (a linear probe); {names} stay frozen.")
        elif frozen:
            rank_zero_warn(advice(frozen, len(groups) - 1, epochs, self.every_n_epochs, self.epochs))

    def _announce(self, trainer: Trainer, module: LightningModule, news: str) -> None:
        assert isinstance(module, ImageClassifier)
        trained_groups = [name for name in module.group_names if name not in module.frozen_groups]
        total = sum(parameter.numel() for parameter in module.parameters())
        trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        rank_zero_info(
            f"Epoch {trainer.current_epoch}: {news}training {', '.join(trained_groups)} "
            f"({trained / 1e6:.2f} of {total / 1e6:.2f} M parameters)"
        )
