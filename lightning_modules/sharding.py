"""Divides the parameters of a network among devices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from lightning_modules.sharded_checkpoint import trained_parameters


class FullySharded(ModelParallelStrategy):
    """Shards the network by FSDP2 among the devices of a machine; machines hold copies of each other."""

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Load a checkpoint, with the optimizer's state of all layers that the run had opened.

        PyTorch restores the state of those parameters alone that require gradients while it loads; a resumed run
        opens what had been unfrozen only when it begins to train.

        Args:
            checkpoint_path: The checkpoint.
            weights_only: As that of ``torch.load``.

        Returns:
            All but weights and optimizer.
        """
        assert self.model is not None
        trained = trained_parameters(Path(checkpoint_path)) if self.optimizers else set()
        frozen = {name for name, parameter in self.model.named_parameters() if not parameter.requires_grad}
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = name in trained
        content = super().load_checkpoint(checkpoint_path, weights_only)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = name not in frozen
        return content


def shard_network(network: nn.Module, mesh: DeviceMesh) -> None:
    """Shard parameters, gradients and optimizer state by PyTorch's FSDP2; devices gather a block when they need it.

    Args:
        network: The network; changed in place.
        mesh: The devices: parameters are divided along its last dimension, and copied along the one before.
    """
    if isinstance(network, FSDPModule):
        return  # by the fit before
    network.to(memory_format=torch.contiguous_format)  # FSDP2 takes no channels_last
    for block in [*_blocks(network), network]:
        fully_shard(block, mesh=mesh, reshard_after_forward=True)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Find what networks put in sequences: blocks that are called as a whole."""
    for child in module.children():
        if isinstance(module, nn.Sequential | nn.ModuleList):
            if any(True for _ in child.parameters()):
                yield child
        else:
            yield from _blocks(child)


def synchronize_buffers(network: nn.Module) -> None:
    """Give all devices the BatchNorm statistics of the first one, as ``DistributedDataParallel`` does.

    Args:
        network: The network; changed in place.
    """
    statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    if statistics:
        vector = parameters_to_vector(statistics)
        torch.distributed.broadcast(vector, src=0)
        vector_to_parameters(vector, statistics)
