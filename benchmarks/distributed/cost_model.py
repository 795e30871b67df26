"""Foretells what exchanging gradients costs: all-reduces behind the backward pass.

A device of n sends 2 (n - 1) / n times the gradients (Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms for
clusters of workstations, 2009), for each bucket of DDP in 2 log2(n) messages one after the other, by NCCL's double
binary trees. DDP exchanges while the backward pass goes on (Li et al., PyTorch Distributed, 2020): a step becomes
longer by what is longer than the share of it that overlaps.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

_PER_MACHINE = 8
_BUCKET = 25 * 2**20  # bytes, DDP's default
# Of a step is the backward pass, which costs twice a forward pass; a GPU exchanges behind all of it, a CPU less
_OVERLAP = 2 / 3


class Exchange(NamedTuple):
    """A measured batch.

    Attributes:
        seconds_alone: What its exchange would take alone at the bandwidth of the link.
        seconds: What the batch took.
    """

    seconds_alone: float
    seconds: float


class Link(NamedTuple):
    """What connects devices.

    Attributes:
        bandwidth: Bytes a second in each direction, of a machine's only adapter.
        latency: Seconds of a message.
    """

    bandwidth: float
    latency: float


# Latencies are orders of magnitude: tens of microseconds through TCP, a few through RDMA
LINKS = {
    "Ethernet, 25 Gbit/s": Link(25e9 / 8, 30e-6),
    "InfiniBand NDR, 400 Gbit/s": Link(400e9 / 8, 3e-6),
}
_NVLINK = Link(450e9, 3e-6)  # between the GPUs of a machine (H100)


def efficiency(step: float, exchange: float, overlap: float) -> float:
    """Compute the share of a device's time that is a step.

    Args:
        step: Seconds of a step without exchange.
        exchange: Seconds of its exchange alone.
        overlap: Share of the step behind which the exchange can go on.

    Returns:
        From 0 to 1.
    """
    return step / (step + max(0.0, exchange - overlap * step))


def fit_overlap(step: float, measured: Sequence[Exchange]) -> float:
    """Fit the share of a step behind which the exchange goes on.

    Args:
        step: Seconds of a step whose exchange is limited by nothing.
        measured: Batches at several bandwidths.

    Returns:
        The share that brings the model nearest to the seconds, by relative squares, from 0 to 1.
    """

    def error(overlap: float) -> float:
        foretold = (step / efficiency(step, batch.seconds_alone, overlap) for batch in measured)
        return sum((guess / batch.seconds - 1) ** 2 for guess, batch in zip(foretold, measured, strict=True))

    return min((number / 100 for number in range(101)), key=error)


class GpuStep(NamedTuple):
    """A step that was measured on one GPU.

    Attributes:
        seconds: Of a step.
        parameters: Of the network.
    """

    seconds: float
    parameters: int

    def efficiency(self, gpus: int, link: Link, width: int) -> float:
        """Foretell the efficiency of many.

        Args:
            gpus: How many, eight in a machine.
            link: What connects the machines.
            width: Bytes of a gradient's element.

        Returns:
            The share of a GPU's time that is a step; from 0 to 1.
        """
        sent = 2 * (gpus - 1) / gpus * self.parameters * width
        buckets = max(1, self.parameters * 4 / _BUCKET)
        slowest = link if gpus > _PER_MACHINE else _NVLINK  # a ring enters and leaves each machine once
        exchange = sent / slowest.bandwidth + 2 * math.log2(gpus) * buckets * slowest.latency
        return efficiency(self.seconds, exchange, _OVERLAP)


# 128 images of 224 px in bfloat16 on an H100 (benchmarks/RESULTS.md, "On a GPU")
GPU_STEPS = {"ResNet-50": GpuStep(128 / 3645, 25_557_032), "ViT-B/16": GpuStep(128 / 2013, 86_567_656)}
