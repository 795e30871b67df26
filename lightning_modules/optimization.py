"""Optimizer and learning-rate schedule."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(
    groups: Mapping[str, Iterable[nn.Parameter]], learning_rate: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Make one parameter group for each group of layers.

    All groups exist from the first step on, frozen ones too: groups added in mid-training break schedulers and the
    resumption of a run (pytorch-lightning #6891, #8502).

    Args:
        groups: Parameters by group, ordered from input to head.
        learning_rate: Learning rate of the head.
        layer_decay: Factor from each group to the one before it; 1 gives all the same rate (Clark et al., ELECTRA,
            2020, section 3).

    Returns:
        What a PyTorch optimizer takes, named for the logs.
    """
    deepest = len(groups) - 1
    return [
        {"name": name, "params": list(parameters), "lr": learning_rate * layer_decay ** (deepest - position)}
        for position, (name, parameters) in enumerate(groups.items())
    ]


def build_optimizer(
    groups: list[dict[str, Any]], name: Literal["adamw", "sgd"], weight_decay: float, momentum: float
) -> Optimizer:
    """Build the optimizer.

    Args:
        groups: Parameter groups with their learning rates.
        name: ``adamw`` or ``sgd`` (with Nesterov's momentum, if there is any).
        weight_decay: Weight decay.
        momentum: Momentum of SGD; AdamW keeps its usual betas.

    Returns:
        The optimizer.
    """
    if name == "sgd":
        return SGD(groups, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay)
    return AdamW(groups, weight_decay=weight_decay)


def warmup_cosine(optimizer: Optimizer, warmup_steps: int, total_steps: int) -> LambdaLR:
    """Raise the learning rates linearly from 1 % to full, then lower them along half a cosine to 0.

    The rate follows from the step alone, so that a resumed run may be given another length.

    Args:
        optimizer: The optimizer.
        warmup_steps: Steps of the rise.
        total_steps: Steps of the training.

    Returns:
        The scheduler, to be stepped after each optimizer step.
    """
    rise = min(warmup_steps, total_steps - 1)
    fall = max(1, total_steps - rise)

    def factor(step: int) -> float:
        if step < rise:
            return 0.01 + 0.99 * step / rise
        return (1 + math.cos(math.pi * min(1.0, (step - rise) / fall))) / 2

    return LambdaLR(optimizer, factor)


def restate(scheduler: LambdaLR, groups: list[dict[str, Any]], weight_decay: float, momentum: float) -> None:
    """Put the configured rates and decay in the place of those that a checkpoint has brought along.

    Without a resumption, or with the same configuration, nothing changes.

    Args:
        scheduler: The scheduler, after a checkpoint has been restored; its optimizer is changed in place.
        groups: Parameter groups as the configuration has them.
        weight_decay: Weight decay.
        momentum: Momentum of SGD.
    """
    scheduler.base_lrs = [group["lr"] for group in groups]
    for own, base, factor in zip(
        scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
    ):
        own |= {"initial_lr": base, "lr": base * factor(scheduler.last_epoch), "weight_decay": weight_decay}
        if "momentum" in own:
            own |= {"momentum": momentum, "nesterov": momentum > 0}
