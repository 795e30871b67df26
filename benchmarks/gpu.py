"""Measures training steps on a GPU: a fit on photographs against the same step on resident data, and against timm.

python -m benchmarks.gpu --root FOLDER [--networks resnet50:224 resnet50:400 ...] [--compiled resnet50:224 ...]

FOLDER has train/CLASS/*.jpg and val/CLASS/*.jpg. All sides train in bfloat16 with channels-last images, a fused SGD and
label smoothing. "resident" repeats one batch that lies in the GPU's memory, in a bare loop; "fit" is this project's
command with its loader and default augmentation; "timm" is a loop with timm's loader, prefetcher and default
augmentation. --compiled compiles the networks of both "resident" and "fit". The columns after the table are the peak
memory of each side.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measuring.step_clock import StepClock
from benchmarks.measuring.turns import Side, arguments, as_options, report, take_turns
from command_line import main as command_line
from datamodules.loading.worker_count import choose_workers
from lightning_modules import ImageClassifier

_SKIPPED = 10


def settings() -> None:
    """Set what ``fit`` chooses on a GPU."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True


def repeat_steps(step: Callable[[], None], steps: int) -> float:
    """Time steps.

    Args:
        step: Makes one.
        steps: How many to time.

    Returns:
        Seconds a step.
    """
    for _ in range(_SKIPPED):
        step()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps


def loop(
    network: Callable[[Tensor], Tensor], parameters: Iterator[nn.Parameter], batches: Iterator[list[Tensor]]
) -> Callable[[], None]:
    """Make a bare training loop.

    Args:
        network: Takes images, (batch, 3, side, side), and returns logits.
        parameters: What is trained.
        batches: Images and labels on the GPU.

    Returns:
        Makes a step.
    """
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)

    def step() -> None:
        images, labels = next(batches)
        with torch.autocast("cuda", torch.bfloat16):
            loss = criterion(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def resident(options: argparse.Namespace, backbone: str, side: int, compiled: bool) -> float:
    """Measure a bare loop on one batch in the GPU's memory; returns images a second."""
    module = ImageClassifier(backbone, None, [str(number) for number in range(options.classes)], side).cuda().train()
    if compiled:
        module.logits.compile()
    images = torch.randint(0, 256, (options.batch_size, 3, side, side), dtype=torch.uint8, device="cuda")
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, options.classes, (options.batch_size,), device="cuda")
    step = loop(module, module.parameters(), iter(lambda: [images, labels], None))
    return float(options.batch_size / repeat_steps(step, options.steps))


def fit(options: argparse.Namespace, backbone: str, side: int, compiled: bool) -> float:
    """Measure this project's ``fit``; returns images a second."""
    with tempfile.TemporaryDirectory() as logs:
        given = {
            "logs": logs,
            "data": "datamodules.ImageFolderDataModule",
            "data.root": options.root,
            "data.image_size": side,
            "data.batch_size": options.batch_size,
            "model.backbone": backbone,
            "model.weights": "null",
            "model.optimizer": "sgd",
            "model.learning_rate": 0.01,
            "model.compile": str(compiled).lower(),
            "trainer.accelerator": "gpu",
            "trainer.devices": 1,
            "trainer.max_epochs": 100,
            "trainer.limit_val_batches": 0,
            "early_stopping.patience": "null",
            "previews.enabled": "false",
            "trainer.callbacks+": "benchmarks.measuring.step_clock.StepClock",
            "trainer.callbacks.skipped": _SKIPPED,
            "trainer.callbacks.counted": options.steps,
        }
        command_line(["fit", *as_options(given)])
    return float(options.batch_size / StepClock.seconds)


def timm_loop(options: argparse.Namespace, backbone: str, side: int, compiled: bool) -> float:
    """Measure a loop with timm's network and loader; returns images a second."""
    timm: Any = import_module("timm")  # which is typed in part
    name = {"vit_b_16": "vit_base_patch16_224"}.get(backbone, backbone.removeprefix("timm/"))
    network = timm.create_model(name, num_classes=options.classes).cuda().to(memory_format=torch.channels_last).train()
    workers = choose_workers(1, True, options.batch_size * 3 * side * side).number
    loader = timm.data.create_loader(
        timm.data.ImageDataset(str(options.root / "train")),
        input_size=(3, side, side),
        batch_size=options.batch_size,
        is_training=True,
        color_jitter=0.4,
        num_workers=workers,
        persistent_workers=True,
    )

    def batches() -> Iterator[list[Tensor]]:
        while True:
            for images, labels in loader:
                yield [images.contiguous(memory_format=torch.channels_last), labels]

    called = torch.compile(network) if compiled else network
    return float(options.batch_size / repeat_steps(loop(called, network.parameters(), batches()), options.steps))


def measured(measure: Callable[[], float], memory: dict[str, float], name: str) -> float:
    """Measure a side, and keep its peak memory in GB."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    value = measure()
    memory[name] = max(memory.get(name, 0.0), torch.cuda.max_memory_allocated() / 1e9)
    return value


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--root", type=Path, required=True, help="folder with train/CLASS and val/CLASS")
    parser.add_argument(
        "--networks", nargs="*", default=["resnet50:224", "resnet50:400", "timm/efficientnet_b0:224", "vit_b_16:224"]
    )
    parser.add_argument("--compiled", nargs="*", default=["resnet50:224"], help="networks to measure compiled, too")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--classes", type=int, default=196)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU here.")
    settings()
    for number, case in enumerate([*options.networks, *options.compiled]):
        compiled = number >= len(options.networks)
        backbone, _, side = case.rpartition(":")
        memory: dict[str, float] = {}
        sides = [
            Side(name, partial(measured, partial(measure, options, backbone, int(side), compiled), memory, name))
            for name, measure in (("resident", resident), ("fit", fit), ("timm", timm_loop))
        ]
        title = f"{backbone}{', compiled' * compiled}, {side} px, batches of {options.batch_size}, bfloat16"
        values = take_turns(sides, options.rounds)
        report(title, "images/s", values, "resident", options.json)
        print("Peak memory: " + ", ".join(f"{name} {value:.1f} GB" for name, value in memory.items()) + "\n")


if __name__ == "__main__":
    main()
