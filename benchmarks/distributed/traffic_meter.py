"""Counts from within a fit what its devices send to each other."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel


def sent_bytes(interface: str) -> int:
    """Read how much an interface of this network namespace has sent.

    Args:
        interface: Its name, ``lo`` for all that the processes of one machine send to each other.

    Returns:
        Bytes, headers included.
    """
    lines = Path("/proc/net/dev").read_text().splitlines()
    counters = next(line.partition(":")[2] for line in lines if line.strip().startswith(f"{interface}:"))
    return int(counters.split()[8])


class TrafficMeter(Callback):
    """Writes bytes, collectives and seconds of a batch, and the bytes of an epoch's end, as JSON.

    Args:
        file: The file.
        interface: The network interface.
        skipped: Batches before the first one that counts.
        counted: Batches that count; after them as many again are traced. The first epoch has to have them all.
        half: Whether DDP sends gradients in bfloat16; Lightning registers its hooks on GPUs alone.
    """

    def __init__(
        self, file: str, interface: str = "lo", skipped: int = 4, counted: int = 16, half: bool = False
    ) -> None:
        self.file, self.interface, self.half = file, interface, half
        self.skipped, self.counted = skipped, counted
        self._found: dict[str, float] = {}
        self._bytes, self._began = 0, 0.0
        self._profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Register the hook; arguments as in Lightning's hook."""
        network = trainer.strategy.model
        if self.half and isinstance(network, DistributedDataParallel):
            network.register_comm_hook(None, bf16_compress_hook)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read the counters; arguments as in Lightning's hook."""
        done = batch_idx + 1
        if not trainer.is_global_zero or trainer.current_epoch:
            return
        if done == self.skipped:
            self._bytes, self._began = sent_bytes(self.interface), time.perf_counter()
        elif done == self.skipped + self.counted:
            self._found["seconds"] = (time.perf_counter() - self._began) / self.counted
            self._found["bytes"] = (sent_bytes(self.interface) - self._bytes) / self.counted
            self._profiler.start()  # which costs time, so the batches after
        elif done == self.skipped + 2 * self.counted:
            self._profiler.stop()
            averages = self._profiler.key_averages()
            gloo = [event.count for event in averages if event.key.startswith("gloo:")]
            self._found["collectives"] = sum(gloo) / self.counted
        if done == trainer.num_training_batches:
            self._bytes = sent_bytes(self.interface)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was counted, once the first epoch has been validated; arguments as in Lightning's hook."""
        if trainer.current_epoch != 1:
            return
        trainer.should_stop = True
        if trainer.is_global_zero:
            self._found["epoch"] = sent_bytes(self.interface) - self._bytes
            Path(self.file).write_text(json.dumps(self._found))
