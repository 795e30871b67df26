"""Measures what a training step costs beyond the network: ``fit`` against a bare loop and a bare Trainer.

python -m benchmarks.step [--networks resnet18:128:32 ...] [--steps 30]

A network is named with the side of its images and the batch size. All sides train it in float32 with the same loss,
optimizer, schedule and clipped gradients, on one batch that lies in memory. "bare loop" is these and nothing else;
"bare Trainer" is Lightning's with a module of ten lines, its progress bar and no logger; "fit" is the command with all
that it does by default. Each side is measured in a process of its own. The last case is so small that the difference in
milliseconds is what the main thread spends.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from benchmarks.measuring.resident_data import ResidentToyCars, SameBatch
from benchmarks.measuring.step_clock import StepClock
from benchmarks.measuring.turns import Side, apart, arguments, as_options, report, take_turns
from command_line import main as command_line
from lightning_modules import ImageClassifier

_SKIPPED = 5
_CLIP = 1.0
_RATE = 1e-4


class Case:
    """A network, its images and where the drawn cars lie.

    Args:
        name: The backbone, the side of the images in pixels, and the batch size, divided by colons.
        folder: For the cars and for runs.
        steps: How many steps to time.
    """

    def __init__(self, name: str, folder: Path, steps: int) -> None:
        self.backbone, side, batch_size = name.split(":")
        self.side, self.batch_size, self.steps, self.folder = int(side), int(batch_size), steps, folder

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of the data module, with names as on the command line."""
        root = str(self.folder / "toy_cars")
        return {"root": root, "image_size": self.side, "batch_size": self.batch_size, "num_workers": 0}

    def bare(self) -> tuple[Any, Callable[[Any], Tensor], torch.optim.Optimizer, Any]:
        """Build what all sides train: one batch, its loss, the optimizer and the schedule."""
        data = ResidentToyCars(**self.options)
        data.prepare_data()
        data.setup("fit")
        model = ImageClassifier(self.backbone, None, data.class_names, self.side, learning_rate=_RATE).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))

        def loss(batch: Any) -> Tensor:
            images, labels = batch[:2]
            value: Tensor = model.loss(model(images), labels)
            return value

        return data.train_dataloader().batch, loss, optimizer, schedule


def bare_loop(case: Case) -> float:
    """Time a loop; returns milliseconds a step."""
    batch, loss, optimizer, schedule = case.bare()
    parameters = optimizer.param_groups[0]["params"]
    for step in range(_SKIPPED + case.steps):
        if step == _SKIPPED:
            began = time.perf_counter()
        optimizer.zero_grad()
        loss(batch).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, _CLIP)
        optimizer.step()
        schedule.step()
    return (time.perf_counter() - began) / case.steps * 1000


def bare_trainer(case: Case) -> float:
    """Time a bare Trainer; returns milliseconds a step."""
    batch, loss, optimizer, schedule = case.bare()

    class Bare(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList(optimizer.param_groups[0]["params"])

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return loss(batch)

        def configure_optimizers(self) -> Any:
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    given: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "max_epochs": 1}
    clock = StepClock(_SKIPPED, case.steps)
    trainer = Trainer(**given, gradient_clip_val=_CLIP, enable_model_summary=False, callbacks=[clock])
    trainer.fit(Bare(), SameBatch(batch))
    return StepClock.seconds * 1000


def fit(case: Case) -> float:
    """Time the command; returns milliseconds a step."""
    with tempfile.TemporaryDirectory(dir=case.folder) as logs:
        given = {
            "data": "benchmarks.measuring.resident_data.ResidentToyCars",
            **{f"data.{name}": value for name, value in case.options.items()},
            "logs": logs,
            "model.backbone": case.backbone,
            "model.weights": "null",
            "model.learning_rate": _RATE,
            "model.warmup_epochs": 0,
            "trainer.accelerator": "cpu",
            "trainer.precision": "32-true",
            "trainer.gradient_clip_val": _CLIP,
            "trainer.limit_val_batches": 0,
            "early_stopping.patience": "null",
            "previews.enabled": "false",
            "trainer.callbacks+": "benchmarks.measuring.step_clock.StepClock",
            "trainer.callbacks.skipped": _SKIPPED,
            "trainer.callbacks.counted": case.steps,
        }
        command_line(["fit", *as_options(given)])
    return StepClock.seconds * 1000


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__)
    usual = ["resnet18:128:32", "timm/tf_efficientnet_lite0:128:32", "squeezenet1_1:32:2"]
    parser.add_argument("--networks", nargs="*", default=usual)
    parser.add_argument("--steps", type=int, default=30)
    options: argparse.Namespace = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            case = Case(name, Path(folder), options.steps)
            sides = [
                Side(title, apart(partial(measure, case)))
                for title, measure in (("bare loop", bare_loop), ("bare Trainer", bare_trainer), ("fit", fit))
            ]
            title = f"A step of {case.backbone}, {case.side} px, batches of {case.batch_size}, float32"
            report(title, "ms", take_turns(sides, options.rounds), "bare loop", options.json)


if __name__ == "__main__":
    main()
