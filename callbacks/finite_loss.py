"""Stops a run whose loss or gradients aren't finite any more."""

import math
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.optim import Optimizer

from callbacks.finite_tensors import first_not_finite, norm_of

_NAMED = 8


@runtime_checkable
class NamingDataModule(Protocol):
    """A data module that knows which files a batch was made of."""

    def training_files(self, epoch: int, batch: int) -> list[str]:
        """List the files of a training batch on this device."""


class Batch(NamedTuple):
    """A batch whose gradients wait for the optimizer.

    Attributes:
        number: Its number in the epoch.
        loss: Its loss, a scalar; scaled, if the gradients are.
    """

    number: int
    loss: Tensor


class FiniteLoss(Callback):
    """Stops before a loss or gradients that are NaN or infinite can reach the weights, and names the images.

    Both are looked at once before each optimizer step, by a single number read from the device; all devices stop
    together. Where 16-bit gradients are scaled, the scaler itself skips steps that overflow, and the loss alone counts.

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._batches: list[Batch] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what an earlier run has left behind.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._batches = []

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep the loss until the step: to read it now would make a GPU wait.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            loss: The loss of the batch, a scalar.
        """
        if self.enabled:
            self._batches.append(Batch(trainer.fit_loop.epoch_loop.batch_idx, loss.detach()))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look at the losses and gradients of the step, before they are clipped.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            optimizer: The optimizer.

        Raises:
            MisconfigurationException: If one of them isn't finite, on any device.
        """
        if not self.enabled:
            return
        batches, self._batches = self._batches, []
        parameters = [] if _is_scaled(trainer) else [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        watched = [*(batch.loss for batch in batches), *gradients]
        if _holds_everywhere(trainer, torch.isfinite(norm_of(watched))):
            return
        culprit = first_not_finite([("", tensor) for tensor in watched])
        if _holds_everywhere(trainer, torch.tensor(culprit is None, device=pl_module.device)):
            return  # large, but finite
        raise MisconfigurationException(_describe(trainer, batches, gradients))


def _is_scaled(trainer: Trainer) -> bool:
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def _holds_everywhere(trainer: Trainer, condition: Tensor) -> bool:
    violations: Any = trainer.strategy.reduce((~condition).float(), reduce_op="sum")
    return not bool(violations)


def _describe(trainer: Trainer, batches: list[Batch], gradients: list[Tensor]) -> str:
    """Say what isn't finite on whichever device; to be called on all of them."""
    epoch, data = trainer.current_epoch, trainer.datamodule  # type: ignore[attr-defined]
    own = []
    for number, loss in batches:
        files = data.training_files(epoch, number) if isinstance(data, NamingDataModule) else []
        own.append((number, float(loss), [Path(file).name for file in files]))
    parts: list[Any] = [(own, float(norm_of(gradients)))]
    if trainer.world_size > 1:
        parts = parts * trainer.world_size
        torch.distributed.all_gather_object(parts, parts[0])
    found = [batch for part, _ in parts for batch in part]
    blamed = [batch for batch in found if not math.isfinite(batch[1])]  # of gradients there is the sum alone
    if blamed:
        what = f"The training loss became {blamed[0][1]}"
        advice = "lower model.learning_rate, set trainer.gradient_clip_val, or look at these images"
    else:
        what = f"The gradients became {next(norm for _, norm in parts if not math.isfinite(norm))}"
        advice = "look at these images, or lower model.learning_rate"
    numbers = sorted({number for number, _, _ in blamed or found})
    where = f"batch {numbers[0]}" if len(numbers) == 1 else f"batches {numbers[0]} to {numbers[-1]}"
    names = [name for _, _, files in blamed or found for name in files]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    listed = f" ({', '.join(names[:_NAMED])}{more})" if names else ""
    return f"{what} in epoch {epoch}, {where}{listed}: {advice}."
