"""Looks for a batch size before training."""

import statistics
import time
from itertools import pairwise
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import BatchSizeFinder as LightningBatchSizeFinder
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from torch import Tensor, nn

from callbacks.run_folder import report_figure
from lightning_modules import ImageClassifier


class BatchSizeFinder(LightningBatchSizeFinder):
    """Doubles the batch until memory runs out, draws images per second over it, and ends.

    It searches with nothing frozen, since a batch that fits while the head alone trains may no longer fit when the
    last layers have been unfrozen. A search isn't a run: the sizes are printed and not used.

    Args:
        enabled: Search instead of training.
        smallest: Size to begin with.
        largest: Size to end with, if memory and data set allow.
        steps: Steps to take with each size.
    """

    def __init__(self, enabled: bool = False, smallest: int = 8, largest: int = 256, steps: int = 5) -> None:
        if not 2 <= smallest <= largest:
            raise MisconfigurationException(
                f"batch_size_finder goes from {smallest} to {largest}: smallest has to be 2 or more, "
                "largest not smaller than that."
            )
        if steps < 3:
            raise MisconfigurationException(f"batch_size_finder.steps is {steps}: it needs at least 3.")
        # Lightning's first trial runs with the loader that is already there, whatever its batch size, and counts as the
        # first size; so let it begin one doubling earlier
        super().__init__("power", steps_per_trial=steps, init_val=smallest // 2)
        self.enabled = enabled
        self.smallest = smallest
        self.largest = largest
        self.starts: dict[int, list[float]] = {}
        self.memory: dict[int, float] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str | None = None) -> None:
        """Refuse what can't be searched.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit``; in others nothing is searched.
        """
        if self.enabled and stage == "fit":
            super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Search, report and end the run; arguments as in ``setup``."""
        if not self.enabled or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        assert isinstance(pl_module, ImageClassifier)
        images = len(trainer.datamodule.labels("train"))  # type: ignore[attr-defined]
        limit = min(self.largest, images)
        if self.smallest > limit:
            raise MisconfigurationException(
                f"There are only {images} training images: lower batch_size_finder.smallest."
            )
        self._max_trials = 1 + (limit // self.smallest).bit_length()  # doublings that stay within the limit
        pl_module.freeze_groups([])
        watch = pl_module.network.register_forward_pre_hook(self._note)
        self._early_exit = True
        try:
            self.scale_batch_size(trainer, pl_module)
        finally:
            watch.remove()
            self._report(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave evaluation alone, where Lightning's callback would search too; arguments as in ``setup``."""

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave evaluation alone; arguments as in ``setup``."""

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave evaluation alone; arguments as in ``setup``."""

    def _note(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not network.training:
            return
        images = inputs[0]
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
            self.memory[len(images)] = torch.cuda.max_memory_allocated(images.device) / 2**30
        self.starts.setdefault(len(images), []).append(time.perf_counter())

    def rates(self) -> dict[int, float]:
        """Compute how fast each size was.

        Returns:
            Images per second, loading included, by batch size.
        """
        return {
            size: size / statistics.median(after - before for before, after in pairwise(starts))
            for size, starts in sorted(self.starts.items())
            if len(starts) > 2
        }

    def _report(self, trainer: Trainer) -> None:
        rates = self.rates()
        if not rates:
            return
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes: Any = figure.subplots()
        axes.plot([*rates], [*rates.values()], marker="o")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set(xlabel="data.batch_size", ylabel="images per second", ylim=(0, None), title="everything unfrozen")
        axes.grid(alpha=0.3)
        fastest = max(rates.values())
        enough = min(size for size, rate in rates.items() if rate >= 0.95 * fastest)
        sizes = ", ".join(
            f"{size}: {rate:.0f}/s" + (f" {self.memory[size]:.1f} GiB" if size in self.memory else "")
            for size, rate in rates.items()
        )
        line = (
            f"images per second by batch size: {sizes}\n"
            f"suggested: --data.batch_size {enough}, the smallest within 5 % of the fastest; "
            f"the largest that was tried and fits is {max(rates)}"
        )
        report_figure(trainer, "batch_size_finder", figure, line)
