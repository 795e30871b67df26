"""Tries on the CPU whether a network trains faster in bfloat16."""

import time
from contextlib import nullcontext
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import nn

_IMAGES = 2
_ROUNDS = 2
_ENOUGH = 3.0  # seconds after which no further round begins


class Trial(NamedTuple):
    """How long a training step takes.

    Attributes:
        full: Seconds in float32.
        half: Seconds in bfloat16.
    """

    full: float
    half: float


def cpu_has_bfloat16() -> bool:
    """Check whether the CPU multiplies bfloat16 numbers (AMX or AVX-512 BF16 on x86); others imitate it slowly.

    Returns:
        Whether it does; False where PyTorch can't tell.
    """
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases of PyTorch can't tell
    return bool(found.get("amx_bf16") or found.get("avx512_bf16") or found.get("bf16"))


def try_precisions(network: nn.Module, image_size: int) -> Trial:
    """Time forward and backward passes of a copy of a network, in turns.

    Args:
        network: Takes normalised images, (batch, 3, image_size, image_size); isn't changed.
        image_size: Side of the images in pixels.

    Returns:
        The shortest time of each, the first round not counted if there is another.

    Raises:
        RuntimeError: If the network can't be trained on two such images; other errors of its own too.
    """
    with torch.random.fork_rng(devices=[]):
        copy = deepcopy(network).train()
        images = torch.rand(_IMAGES, 3, image_size, image_size).contiguous(memory_format=torch.channels_last)
        rounds: list[Trial] = []
        began = time.perf_counter()
        while not rounds or (len(rounds) <= _ROUNDS and time.perf_counter() - began < _ENOUGH):
            rounds.append(Trial(_step(copy, images, half=False), _step(copy, images, half=True)))
    counted = rounds[1:] or rounds  # in the first one, libraries prepare themselves
    return Trial(*(min(times) for times in zip(*counted, strict=True)))


def _step(network: nn.Module, images: torch.Tensor, half: bool) -> float:
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
        loss = network(images).float().square().mean()
    loss.backward()
    network.zero_grad()
    return time.perf_counter() - began
