"""Stops a run whose loss or gradients are no longer finite."""

import math
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.optim import Optimizer

from callbacks.finite_tensors import first_not_finite, norm_of
from callbacks.late_number import LateNumber
from lightning_modules.training.layerwise_optimization import scales_gradients

_NAMED = 8


@runtime_checkable
class NamingDataModule(Protocol):
    """A data module that knows which files a batch was made of."""

    def training_files(self, epoch: int, batch: int) -> list[str]:
        """List the files of a training batch on this device."""


class Batch(NamedTuple):
    """A batch whose gradients haven't been applied yet.

    Attributes:
        epoch: Its epoch.
        number: Its number in the epoch.
        loss: Its loss, a scalar; scaled, if the gradients are.
    """

    epoch: int
    number: int
    loss: Tensor


class FiniteLoss(Callback):
    """Stops before a loss or gradients that are NaN or infinite can reach the weights, and names the images.

    A loss that isn't finite makes the gradients so, and these are the same on all devices, which thereby stop together.
    PyTorch's fused optimizers are told on the device whether to make a step, and the answer is read a step later;
    before others it is read at once. Where 16-bit gradients are scaled, the scaler itself skips steps that overflow,
    and the loss alone counts.

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._batches: list[Batch] = []
        self._made: tuple[list[Batch], LateNumber] | None = None  # what the last step was made of, and its norm

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what an earlier run has left behind.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._batches, self._made = [], None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep the loss until the step, and let the gradients show whether it is finite.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            loss: The loss of the batch, a scalar.
        """
        if not self.enabled:
            return
        value = loss.detach()
        self._batches.append(Batch(trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_idx, value))
        if loss.requires_grad:  # an infinite loss may have gradients that are finite
            finite = torch.where(value.isfinite(), 1.0, torch.nan)
            loss.register_hook(lambda gradient: gradient * finite.to(gradient.dtype))  # type: ignore[no-untyped-call]

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look at the losses and gradients of the step, before they are clipped.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            optimizer: The optimizer.

        Raises:
            MisconfigurationException: If one of them isn't finite, on any device, or those of the step before weren't.
        """
        if not self.enabled:
            return
        self._look_back(trainer)
        batches, self._batches = self._batches, []
        scaled = scales_gradients(trainer)
        if scaled:
            watched = [batch.loss for batch in batches]
        else:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            watched = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if all(group.get("fused") for group in optimizer.param_groups) and not scaled:
            norm = norm_of(watched, math.inf)  # which large values don't make infinite
            optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
            self._made = batches, LateNumber(norm)
            return
        differ = scaled or isinstance(trainer.strategy, ModelParallelStrategy)
        norm = norm_of(watched)
        if _holds(trainer if differ else None, norm.isfinite()):
            return
        culprit = first_not_finite([("", tensor) for tensor in watched])
        if _holds(trainer if differ else None, torch.tensor(culprit is None, device=norm.device)):
            return  # large, but finite
        raise MisconfigurationException(_describe(trainer, batches, float(norm)))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check whether the last step was made; arguments as in ``on_train_start``.

        Raises:
            MisconfigurationException: If it wasn't, since a gradient wasn't finite.
        """
        self._look_back(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep a step that wasn't made out of checkpoints, from which a run would continue without its images.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            checkpoint: What is about to be saved.

        Raises:
            MisconfigurationException: If the last step wasn't made, since a gradient wasn't finite.
        """
        self._look_back(trainer)

    def _look_back(self, trainer: Trainer) -> None:
        made, self._made = self._made, None
        if made is not None and not math.isfinite(norm := made[1].read()):
            raise MisconfigurationException(_describe(trainer, made[0], norm))


def _holds(trainer: Trainer | None, condition: Tensor) -> bool:
    """Read a condition; with a trainer, whether it holds on all devices."""
    if trainer is None:
        return bool(condition)
    violated = (~condition).float().to(trainer.strategy.root_device)  # the norm of no gradient is on the host
    violations: Any = trainer.strategy.reduce(violated, reduce_op="sum")
    return not bool(violations)


def _describe(trainer: Trainer, batches: list[Batch], norm: float) -> str:
    """Say what isn't finite on whichever device; to be called on all of them."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    own = []
    for epoch, number, loss in batches:
        files = data.training_files(epoch, number) if isinstance(data, NamingDataModule) else []
        own.append((number, float(loss), [Path(file).name for file in files]))
    parts: list[Any] = [(own, norm)]
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
    return f"{what} in epoch {batches[0].epoch}, {where}{listed}: {advice}."
