"""Callbacks that the tests hang into a run."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from lightning_modules import ImageClassifier


class Interruption(Callback):
    """Ends a run abruptly when an epoch begins, as a power cut would."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


class BatchRecord(Callback):
    """Writes a line for each training batch: epoch and a hash of its pixels and labels."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        digest = hashlib.sha256(batch[0].numpy().tobytes() + batch[1].numpy().tobytes()).hexdigest()
        with Path(self.file).open("a") as file:
            file.write(f"{trainer.current_epoch} {digest}\n")


class ImageRecord(Callback):
    """Writes a line for each training image, on each device: step and a hash of its pixels."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        with (Path(self.folder) / f"rank{trainer.global_rank}").open("a") as file:
            for image in batch[0]:
                file.write(f"{trainer.global_step} {hashlib.sha256(image.numpy().tobytes()).hexdigest()}\n")


def poisoned(what: str, batch: int, rank: int = 0) -> list[str]:
    """Options that hang a ``Poison`` into a run."""
    options = {"what": what, "batch": batch, "rank": rank}
    values = [f"--trainer.callbacks.{name}={value}" for name, value in options.items()]
    return ["--trainer.callbacks+=tests.support.probes.Poison", *values]


class Poison(Callback):
    """Makes the loss, a gradient or a statistic of batch normalisation NaN once.

    Args:
        what: "loss", "gradient" or "statistic".
        batch: How many training batches to let pass.
        rank: The device on which it happens.
    """

    def __init__(self, what: str, batch: int, rank: int = 0) -> None:
        self.what, self.batch, self.rank = what, batch, rank

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def poison(network: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
            if not network.training or trainer.fit_loop.epoch_loop.total_batch_idx != self.batch:
                return logits
            if self.what == "gradient":
                logits.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
            elif self.what == "statistic":
                next(buffer for buffer in network.buffers() if buffer.is_floating_point())[0] = torch.nan
            return logits * torch.nan if self.what == "loss" else logits

        network = pl_module.network
        assert isinstance(network, nn.Module)
        if trainer.global_rank == self.rank:
            network.register_forward_hook(poison)


class Errors(Callback):
    """Writes what ends a run, on each device."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        Path(f"{self.file}.rank{trainer.global_rank}").write_text(str(exception))


class WeightsOfEachDevice(Callback):
    """Saves the weights of every process at the end of training."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        torch.save(pl_module.state_dict(), Path(self.folder) / f"rank{trainer.global_rank}.pt")


class GradientTraffic(Callback):
    """Writes a line for each epoch: bytes of gradients that DDP synchronises, and bytes of trainable parameters."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        wrapped = trainer.strategy.model
        assert isinstance(wrapped, DistributedDataParallel)
        synchronised = wrapped._get_ddp_logging_data()["total_parameter_size_bytes"]  # type: ignore[no-untyped-call]
        trainable = sum(4 * tensor.numel() for tensor in pl_module.parameters() if tensor.requires_grad)
        if trainer.is_global_zero:
            with Path(self.file).open("a") as file:
                file.write(f"{synchronised} {trainable}\n")


class NetworkInputs(Callback):
    """Writes a line for each training step: epoch and side of the images that the network sees."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def note(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if network.training:
                with Path(self.file).open("a") as file:
                    file.write(f"{trainer.current_epoch} {inputs[0].shape[-1]}\n")

        network = pl_module.network
        assert isinstance(network, nn.Module)
        network.register_forward_pre_hook(note)


class WeightsOfEachStep(Callback):
    """Keeps the trained tensors after every optimizer step, in memory, as the reference for averages."""

    steps: ClassVar[list[dict[str, Tensor]]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.steps.clear()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.steps.append({name: tensor.detach().clone() for name, tensor in pl_module.named_parameters()})


class FrozenAtTheEnd(Callback):
    """Writes which groups of layers are trained when a run ends, and the rates of all."""

    def __init__(self, file: str) -> None:
        self.file = file

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, ImageClassifier)
        trained = sorted(set(pl_module.group_names) - pl_module.frozen_groups)
        Path(self.file).write_text(" ".join(trained))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, ImageClassifier)
        step = pl_module.on_before_optimizer_step

        def note(optimizer: Optimizer) -> None:
            step(optimizer)
            rates = {group["layers"]: group["lr"] for group in optimizer.param_groups}
            Path(f"{self.file}.rates").write_text(" ".join(str(rate) for rate in rates.values()))

        pl_module.on_before_optimizer_step = note  # type: ignore[method-assign]


class Saves(Callback):
    """Writes a line for each checkpoint: its name and the number of optimizer steps behind it."""

    def __init__(self, file: str) -> None:
        self.file = file

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        save = trainer.strategy.save_checkpoint

        def note(checkpoint: dict[str, Any], *others: Any, **options: Any) -> None:
            with Path(self.file).open("a") as file:
                file.write(f"{Path(others[0]).name.removeprefix('.draft-')} {checkpoint['global_step']}\n")
            save(checkpoint, *others, **options)

        trainer.strategy.save_checkpoint = note  # type: ignore[method-assign]


class CheckpointScores(Callback):
    """Writes a line for each checkpoint: when it was saved, and the names of its scores."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.when = "before"

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.when = "between"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.when = "ended"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        save = trainer.strategy.save_checkpoint

        def note(checkpoint: dict[str, Any], *others: Any, **options: Any) -> None:
            with Path(self.file).open("a") as file:
                file.write(json.dumps([self.when, [*checkpoint["scores"]]]) + "\n")
            save(checkpoint, *others, **options)

        trainer.strategy.save_checkpoint = note  # type: ignore[method-assign]


class MappedFiles(Callback):
    """Writes what each process maps of files whose names begin as those of a shared list of samples."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        maps = Path("/proc/self/maps").read_text().splitlines()
        begin = f"{tempfile.gettempdir()}/carspotter-"
        found = [line.partition(begin)[2] for line in maps if begin in line]
        (Path(self.folder) / f"maps{trainer.global_rank}").write_text("\n".join(found))
