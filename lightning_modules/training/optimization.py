"""Optimizer and learning-rate schedule."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

Schedule: TypeAlias = Callable[[int], float]


def parameter_groups(
    groups: Mapping[str, Iterable[nn.Parameter]], learning_rate: float, layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Make two parameter groups for each group of layers: what weight decay shrinks, and norms and biases.

    All groups exist from the first step on, frozen ones too: groups added in mid-training break schedulers and the
    resumption of a run (pytorch-lightning #6891, #8502). Norms and biases are the parameters of one dimension; to decay
    them costs accuracy (He et al., Bag of Tricks, 2019, section 3.1). What transformers have of more dimensions is
    decayed: position embeddings, tokens, tables of relative positions.

    Args:
        groups: Parameters by group, ordered from input to head.
        learning_rate: Learning rate of the head.
        layer_decay: Factor from each group to the one before it; 1 gives all the same rate (Clark et al., ELECTRA,
            2020, section 3).
        weight_decay: Weight decay of all parameters but those of one dimension.

    Returns:
        What a PyTorch optimizer takes, with the group of layers under ``layers``.
    """
    deepest = len(groups) - 1
    made = []
    for position, (layers, parameters) in enumerate(groups.items()):
        rate = learning_rate * layer_decay ** (deepest - position)
        members = list(parameters)
        for decay, params in (
            (weight_decay, [parameter for parameter in members if parameter.ndim > 1]),
            (0.0, [parameter for parameter in members if parameter.ndim <= 1]),
        ):
            if params:
                made.append({"layers": layers, "params": params, "lr": rate, "weight_decay": decay})
    return made


def build_optimizer(
    groups: list[dict[str, Any]], name: Literal["adamw", "sgd"], momentum: float, fused: bool = False
) -> Optimizer:
    """Build the optimizer.

    Args:
        groups: Parameter groups with their learning rates and weight decay.
        name: ``adamw`` or ``sgd`` (with Nesterov's momentum, if there is any).
        momentum: Momentum of SGD; AdamW keeps its usual betas.
        fused: Let one kernel make the steps, and decide on the device whether to make them.

    Returns:
        The optimizer.
    """
    optimizer: Optimizer
    if name == "sgd":
        optimizer = SGD(groups, momentum=momentum, nesterov=momentum > 0, fused=fused or None)
    else:
        optimizer = AdamW(groups, fused=fused or None)
    if fused:  # it could unscale gradients; where one does so, Lightning can't clip them, and refuses to, scaled or not
        optimizer._step_supports_amp_scaling = False
    return optimizer


def begin_momentum(optimizer: Optimizer) -> None:
    """Give fused SGD zeros to begin with, which make the same first step.

    It would allocate the momentum in its first step, and leave the memory as it finds it where that step isn't made. It
    fails where layers that were just unfrozen have none yet and others do.

    Args:
        optimizer: The optimizer; others than fused SGD with momentum are left alone.
    """
    if not isinstance(optimizer, SGD):
        return
    for group in optimizer.param_groups:
        if group["fused"] and group["momentum"]:
            for parameter in group["params"]:
                if optimizer.state[parameter].get("momentum_buffer") is None:
                    optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def ramp(step: int, steps: int) -> float:
    """Rise linearly from 1 % to 1.

    Args:
        step: Steps taken so far.
        steps: Length of the rise.

    Returns:
        The factor of the learning rate.
    """
    return 0.01 + 0.99 * step / steps if step < steps else 1.0


def warmup_cosine(warmup_steps: int, total_steps: int) -> Schedule:
    """Raise the learning rates linearly from 1 % to full, then lower them along half a cosine to 0.

    The factor follows from the step alone, so that a resumed run may be given another length.

    Args:
        warmup_steps: Steps of the rise.
        total_steps: Steps of the training.

    Returns:
        The factor of the learning rates as a function of the step.
    """
    rise = min(warmup_steps, total_steps - 1)
    fall = max(1, total_steps - rise)

    def factor(step: int) -> float:
        if step < rise:
            return ramp(step, rise)
        return (1 + math.cos(math.pi * min(1.0, (step - rise) / fall))) / 2

    return factor
