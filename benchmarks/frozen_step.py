"""Times a training step with a growing number of unfrozen layer groups.

python -m benchmarks.frozen_step [--backbone resnet18] [--image-size 128] [--batch-size 32]

What is frozen takes no backward pass, no optimizer step and no gradient traffic between devices; its forward pass
remains. Prints the median of each case, its spread and the ratio to training everything, measured in turns.
"""

import argparse
import platform

import torch
from torch.utils.benchmark import Measurement, Timer

from lightning_modules import ImageClassifier
from lightning_modules.training.optimization import build_optimizer, parameter_groups


def measure(model: ImageClassifier, trained: list[str], images: torch.Tensor, rounds: int) -> list[float]:
    """Time a step with some groups unfrozen.

    Args:
        model: The classifier.
        trained: Names of the groups that train.
        images: A batch, uint8 of shape (batch, 3, height, width).
        rounds: Number of steps to time.

    Returns:
        Seconds of each step.
    """
    groups = {name: list(model.layers.parameters(name)) for name in model.group_names}
    optimizer = build_optimizer(parameter_groups(groups, 1e-3, 1.0, 0.05), "adamw", 0.9)
    model.train()
    model.freeze_groups(set(groups) - set(trained))
    labels = torch.arange(len(images)) % len(model.class_names)

    def step() -> None:
        loss = model.loss(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    timer = Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
    timer.timeit(1)
    timed: list[Measurement] = [timer.timeit(1) for _ in range(rounds)]
    return [measurement.median for measurement in timed]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    names = [str(number) for number in range(196)]
    model = ImageClassifier(options.backbone, None, names, options.image_size)
    side = options.image_size
    images = torch.randint(0, 256, (options.batch_size, 3, side, side), dtype=torch.uint8)
    groups = [*model.group_names]
    cases = [groups[-count:] for count in range(1, len(groups) + 1)]
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(3):  # in turns, so that a busy moment doesn't hit one case alone
        for case, collected in zip(cases, times, strict=True):
            collected += measure(model, case, images, options.rounds // 3)
    medians = [float(torch.tensor(collected).median()) for collected in times]
    machine = (
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    print(f"{options.backbone}, {side} px, batch {options.batch_size}, {machine}\n")
    print("| unfrozen | step, ms | quartiles | of a full step | gradients, MB |\n|---|---|---|---|---|")
    for case, collected, median in zip(cases, times, medians, strict=True):
        low, high = (float(torch.tensor(collected).quantile(share)) * 1e3 for share in (0.25, 0.75))
        size = sum(4 * tensor.numel() for name in case for tensor in model.layers.parameters(name)) / 1e6
        label = "head" if len(case) == 1 else f"{case[0]} to head"
        print(f"| {label} | {median * 1e3:.0f} | {low:.0f} to {high:.0f} | {median / medians[-1]:.2f} | {size:.1f} |")


if __name__ == "__main__":
    main()
