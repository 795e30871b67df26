"""Averages the weights over the steps of training."""

from itertools import chain
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_SIXTEEN_BITS = ("bf16-true", "16-true")


class ExponentialMovingAverage(WeightAveraging):
    """Validates, checkpoints and tests the moving average of the weights instead of the weights of the last step.

    The average forgets its beginning: its decay rises as (1 + n) / (10 + n) over the first n steps up to ``decay``, as
    TensorFlow's ``ExponentialMovingAverage`` has it. Checkpoints hold both the average, which ``test`` loads, and the
    weights of the last step, with which a resumed run continues.

    Args:
        decay: Share of the average that a step keeps, 0.999 for instance; null averages nothing.
    """

    def __init__(self, decay: float | None = None) -> None:
        if decay is not None and not 0 < decay < 1:
            raise MisconfigurationException(f"ema.decay is {decay}: it has to lie between 0 and 1, or be null.")
        super().__init__()
        self.decay = decay
        self._updates = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Average after every optimizer step.

        ``AveragedModel`` would ask the device four times a step how often it has averaged.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            outputs: Outputs of the batch.
            batch: The batch.
            batch_idx: Its number.
        """
        if self._average_model is None or trainer.global_step <= self._latest_update_step:
            return
        self._average(pl_module)
        self._latest_update_step = trainer.global_step

    @torch.no_grad()
    def _average(self, pl_module: LightningModule) -> None:
        assert self._average_model is not None
        assert self.decay is not None
        averaged = self._average_model.module
        pairs = [
            (average, present.detach())
            for average, present in zip(
                chain(averaged.parameters(), averaged.buffers()),
                chain(pl_module.parameters(), pl_module.buffers()),
                strict=True,
            )
        ]
        weights = [pair for pair in pairs if pair[0].is_floating_point() and self._updates]
        others = [pair for pair in pairs if not pair[0].is_floating_point() or not self._updates]  # counters
        if weights:
            decay = min(self.decay, (1 + self._updates) / (10 + self._updates))
            update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            update([pair[0] for pair in weights], [pair[1] for pair in weights], self._updates)
        for average, present in others:
            average.copy_(present)
        self._updates += 1
        self._average_model.n_averaged.fill_(self._updates)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average as the last step has left it; arguments as in the hook above."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copy the weights when training begins.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit``; in others nothing is averaged.

        Raises:
            MisconfigurationException: If the network is sharded, which can't be copied, or its weights have 16 bits, in
                which steps as small as those of an average are rounded away.
        """
        if self.decay is None:
            return
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise MisconfigurationException("ema.decay works on one device and with ddp: set it to null.")
        if stage == "fit" and trainer.precision in _SIXTEEN_BITS:
            mixed = trainer.precision.replace("true", "mixed")
            raise MisconfigurationException(
                f"trainer.precision is {trainer.precision}, which keeps weights in 16 bits, where a moving average "
                f"stands still: choose {mixed}, or set ema.decay to null."
            )
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and trainer.precision == "64-true" and self._average_model is not None:
            self._average_model.double()  # as Lightning makes the weights after this
        self._updates = 0
        if stage == "fit":  # of an earlier training with the same callback; a resumed run brings its own
            self._latest_update_step = 0

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
        """Continue with the weights of the last step; evaluation takes the average. Arguments as in the hook above."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
            self._updates = int(self._average_model.n_averaged)
        elif trainer.state.fn == "fit" and "current_model_state" in checkpoint:
            rank_zero_warn("The resumed run averaged its weights; this one goes on without: ema.decay is null.")
            pl_module.load_state_dict(checkpoint["current_model_state"])
