"""Opens a pretrained network to training from its head towards its input."""

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_info

from lightning_modules import ImageClassifier


class GradualUnfreezing(Callback):
    """Trains the head first, then one more group of layers at a time (Howard & Ruder, ULMFiT, 2018, section 3.3).

    What is frozen in an epoch follows from the schedule and the epoch's number alone, so that a resumed run carries on
    rightly. The optimizer knows all groups from the start; a frozen layer gets no gradient, costs no backward pass and
    keeps its BatchNorm statistics.

    Without ``every_n_epochs`` and ``epochs`` nothing is ever frozen.

    Args:
        every_n_epochs: Open a further group every so many epochs.
        epochs: Open a further group at the start of each of these epochs, counted from 0; groups beyond the end of the
            list stay frozen, so that an empty list trains the head alone (a linear probe).

    Raises:
        MisconfigurationException: If both are given, or the epochs don't rise.
    """

    def __init__(self, every_n_epochs: int | None = None, epochs: list[int] | None = None) -> None:
        if every_n_epochs is not None and epochs is not None:
            raise MisconfigurationException("unfreezing takes every_n_epochs or epochs, not both.")
        if every_n_epochs is not None and every_n_epochs < 1:
            raise MisconfigurationException(
                f"unfreezing.every_n_epochs is {every_n_epochs}: it has to be 1 or more, or null to freeze nothing."
            )
        if epochs is not None and (sorted(epochs) != list(epochs) or any(epoch < 1 for epoch in epochs)):
            raise MisconfigurationException(
                f"unfreezing.epochs is {epochs}: they have to rise and start at 1 or later."
            )
        self.every_n_epochs = every_n_epochs
        self.epochs = epochs

    @property
    def active(self) -> bool:
        """Whether anything is frozen at all."""
        return self.every_n_epochs is not None or self.epochs is not None

    def frozen_groups(self, groups: list[str], epoch: int) -> list[str]:
        """Say what is frozen in an epoch.

        Args:
            groups: Names of all groups, from input to head.
            epoch: The epoch, counted from 0.

        Returns:
            The names of the frozen groups, from input towards the head; never the head itself.
        """
        if not self.active:
            return []
        opened = epoch // self.every_n_epochs if self.every_n_epochs else sum(at <= epoch for at in self.epochs or [])
        return groups[: max(0, len(groups) - 1 - opened)]

    def is_complete(self, groups: list[str], epoch: int) -> bool:
        """Say whether no further group will be opened after the start of an epoch.

        Args:
            groups: Names of all groups, from input to head.
            epoch: The epoch, counted from 0.

        Returns:
            True if the set of frozen groups stays as it is for good.
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
        """
        if stage == "fit" and self.active:
            assert isinstance(pl_module, ImageClassifier)
            pl_module.freeze_groups(self.frozen_groups([*pl_module.group_names], 0))
            self._announce(pl_module, trainer.current_epoch)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open what a resumed run had opened: Lightning doesn't announce the epoch that a run resumes with.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open what the schedule opens in this epoch; arguments as in ``on_train_start``."""
        if not self.active:
            return
        assert isinstance(pl_module, ImageClassifier)
        frozen = self.frozen_groups([*pl_module.group_names], trainer.current_epoch)
        if frozenset(frozen) == pl_module.frozen_groups:
            return
        pl_module.freeze_groups(frozen)
        if isinstance(trainer.strategy, DDPStrategy):
            # DDP synchronises only what required gradients when it wrapped the model: layers opened later would drift
            # apart on the devices without a word (pytorch-lightning #20340). Wrapping again registers them.
            trainer.strategy.model = pl_module
            trainer.strategy.configure_ddp()
        self._announce(pl_module, trainer.current_epoch)

    def _announce(self, module: ImageClassifier, epoch: int) -> None:
        trainable = [name for name in module.group_names if name not in module.frozen_groups]
        count = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        rank_zero_info(f"Epoch {epoch}: training {', '.join(trainable)} ({count / 1e6:.2f} M parameters)")
