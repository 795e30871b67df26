"""Divides the parameters of a network among devices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from runs.sharded_checkpoint import is_sharded, load_sharded, trained_parameters


class FullySharded(ModelParallelStrategy):
    """Shards the network by FSDP2 among the devices of a machine; machines hold copies of each other."""

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Load a checkpoint, with the optimizer's state of all layers that the run had unfrozen.

        PyTorch restores the state of those parameters alone that require gradients while it loads; a resumed run
        unfreezes them only when it begins to train.

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


class AnyCheckpoint(TorchCheckpointIO):
    """Loads a checkpoint, be it a file or a sharded folder."""

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Load a checkpoint.

        Args:
            path: The file, or the folder of a sharded checkpoint.
            map_location: As that of ``torch.load``, for a file.
            weights_only: As that of ``torch.load``, for a file; a folder never runs code.

        Returns:
            Its content; without the optimizer's state, if it is a folder.
        """
        if is_sharded(Path(path)):
            return load_sharded(Path(path))
        content: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        return content


def accept_sharded(strategy: Strategy, checkpoint: Path | None, subcommand: str) -> None:
    """Let a strategy that keeps whole weights on each device evaluate a sharded checkpoint.

    Args:
        strategy: The strategy; changed in place.
        checkpoint: The checkpoint; None if there is none.
        subcommand: ``fit``, ``validate``, ``test`` or ``predict``.

    Raises:
        MisconfigurationException: If training is to continue sharded from one that isn't, or the other way round.
    """
    if checkpoint is None:
        return
    if not is_sharded(checkpoint):
        if subcommand == "fit" and isinstance(strategy, ModelParallelStrategy):
            raise MisconfigurationException(
                f"{checkpoint} isn't sharded, and neither is its optimizer's state: continue on one device or with "
                "configs/strategy/ddp.yaml."
            )
        return
    if isinstance(strategy, FSDPStrategy | ModelParallelStrategy):
        return
    if subcommand == "fit":
        raise MisconfigurationException(
            f"{checkpoint} is sharded, and its optimizer's state with it: continue with configs/strategy/fsdp.yaml, on "
            "any number of devices. Other commands take it on one device too."
        )
    strategy.checkpoint_io = AnyCheckpoint()


def shard_network(network: nn.Module, mesh: DeviceMesh, compiled: bool = False) -> None:
    """Shard parameters, gradients and optimizer state by PyTorch's FSDP2; devices gather a block when they need it.

    Args:
        network: The network; changed in place.
        mesh: The devices: parameters are divided along its last dimension, and copied along the one before.
        compiled: Whether it is to be compiled.

    Raises:
        MisconfigurationException: If it is, which works on whole networks alone.
    """
    if compiled:
        raise MisconfigurationException("model.compile works on one device and with ddp: set it to false.")
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
