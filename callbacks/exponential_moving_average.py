"""Averages the weights over the steps of training."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class ExponentialMovingAverage(WeightAveraging):
    """Validates, checkpoints and tests the moving average of the weights instead of the weights of the last step.

    The average forgets its beginning: its decay rises as (1 + n) / (10 + n) over the first n steps up to ``decay``, as
    TensorFlow's ``ExponentialMovingAverage`` has it. Checkpoints hold both the average, which ``test`` loads, and the
    weights of the last step, with which a resumed run carries on.

    Args:
        decay: Share of the average that a step keeps, 0.999 for instance; null averages nothing.
    """

    def __init__(self, decay: float | None = None) -> None:
        if decay is not None and not 0 < decay < 1:
            raise MisconfigurationException(f"ema.decay is {decay}: it has to lie between 0 and 1, or be null.")
        super().__init__(multi_avg_fn=self._update)
        self.decay = decay

    def _update(self, averages: Any, weights: Any, updates: Tensor | int) -> None:
        assert self.decay is not None
        count = int(updates)
        update = get_ema_multi_avg_fn(min(self.decay, (1 + count) / (10 + count)))  # type: ignore[no-untyped-call]
        update(averages, weights, updates)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Update after every optimizer step.

        Args:
            step_idx: The step, or None at the end of an epoch.
            epoch_idx: The epoch.

        Returns:
            Whether to update.
        """
        return self.decay is not None and step_idx is not None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copy the weights when training begins.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit``; in others nothing is averaged.

        Raises:
            MisconfigurationException: If the network is sharded, which can't be copied.
        """
        if self.decay is None:
            return
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise MisconfigurationException("ema.decay works on one device and with ddp: set it to null.")
        super().setup(trainer, pl_module, stage)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the model; arguments as in ``setup``."""
        if self.decay is not None:
            super().on_train_end(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the copy after training: Lightning's callback would swap it in again when the same trainer tests.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit`` or another.
        """
        self._average_model = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save both kinds of weights.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            checkpoint: What is about to be saved; changed in place.
        """
        if self._average_model is not None:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the weights of the last step; evaluation takes the average. Arguments as in the hook above."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
        elif trainer.state.fn == "fit" and "current_model_state" in checkpoint:
            rank_zero_warn("The resumed run averaged its weights; this one goes on without: ema.decay is null.")
            pl_module.load_state_dict(checkpoint["current_model_state"])
