"""Says what views of test-time augmentation cost and bring.

python -m benchmarks.views RUN --root ROOT [--split val]

Each single view of each picture is scored once, and the sets of views are put together from them, so that all are
compared on the same pictures. The temperature is fitted on one half of them, chosen by chance, and judged on the
other, and the other way. A view more costs a forward pass more (``python -m benchmarks.evaluation``).
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from datamodules import StanfordCarsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.prediction.preprocessing import evaluated_size
from lightning_modules.prediction.temperature import fit_temperature
from lightning_modules.prediction.views import further_views

SHIFT = 0.5
SCALES = (0.95, 0.9, 0.875, 0.8, 0.7)
WITH_CORNERS = (0.875, 0.8)
SETS: dict[str, tuple[list[float], bool, bool]] = {  # scales, flips, corners
    "plain": ([1.0], False, False),
    "flip": ([1.0], True, False),
    "flip, 0.95": ([1.0, 0.95], True, False),
    "flip, 0.9": ([1.0, 0.9], True, False),
    "flip, 0.875 (the default)": ([1.0, 0.875], True, False),
    "flip, 0.8": ([1.0, 0.8], True, False),
    "flip, 0.7": ([1.0, 0.7], True, False),
    "0.875, no flip": ([1.0, 0.875], False, False),
    "flip, 0.9, 0.8": ([1.0, 0.9, 0.8], True, False),
    "flip, 0.9, 0.8, 0.7": ([1.0, 0.9, 0.8, 0.7], True, False),
    "flip, 0.875 with its corners": ([1.0, 0.875], True, True),
    "flip, 0.8 with its corners": ([1.0, 0.8], True, True),
}


def single_views(images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Make each view once.

    Args:
        images: uint8 of shape (batch, 3, height, width).

    Yields:
        The view's name, and a batch of the same shape.
    """
    yield "1.0", images
    yield "1.0 flipped", next(further_views(images, True, [1.0]))
    for scale in SCALES:
        shift = SHIFT if scale in WITH_CORNERS else 0.0
        for place, view in enumerate(further_views(images, True, [scale], shift)):
            if place:  # the first one is the flipped picture
                name = f"{scale}{'' if place < 3 else f' corner {(place - 1) // 2}'}"
                yield name + " flipped" * (place % 2 == 0), view


def names_of(scales: Sequence[float], flips: bool, corners: bool) -> list[str]:
    """Name the views of a set.

    Args:
        scales: Sides of the crops.
        flips: Whether each is seen mirrored as well.
        corners: Whether crops move towards the corners as well.

    Returns:
        Names as ``single_views`` has them.
    """
    places = [f"{scale}" for scale in scales]
    if corners:
        places += [f"{scale} corner {corner}" for scale in scales for corner in range(1, 5) if scale in WITH_CORNERS]
    return [name + flipped for name in places for flipped in ("", " flipped") if flips or not flipped]


@torch.inference_mode()
def score(model: ImageClassifier, data: StanfordCarsDataModule, split: str) -> tuple[dict[str, Tensor], Tensor]:
    """Compute the logits of all single views.

    Args:
        model: The classifier.
        data: The data.
        split: ``val`` or ``test``.

    Returns:
        Logits (pictures, classes) by view, and the labels.
    """
    data.prepare_data()
    data.setup("validate" if split == "val" else "test")
    loader = data.val_dataloader() if split == "val" else data.test_dataloader()
    logits: dict[str, list[Tensor]] = {}
    labels = []
    for batch in tqdm(loader):
        labels.append(batch[1])
        for name, view in single_views(batch[0]):
            logits.setdefault(name, []).append(model(view))
    return {name: torch.cat(parts).float() for name, parts in logits.items()}, torch.cat(labels)


def averaged(views: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """Average the probabilities of views.

    Args:
        views: Logits (pictures, classes) of each.
        temperature: What they are divided by.

    Returns:
        Probabilities (pictures, classes).
    """
    return torch.stack([(view / temperature).softmax(1) for view in views]).mean(0)


def row(title: str, views: Sequence[Tensor], labels: Tensor, plain: Tensor) -> str:
    """Score a set of views.

    Args:
        title: What it is called.
        views: Logits of its views.
        labels: True classes.
        plain: Whether the plain answers are right.

    Returns:
        A row of the table.
    """
    right = averaged(views).argmax(1) == labels
    won, lost = int((right & ~plain).sum()), int((plain & ~right).sum())
    chosen = torch.from_numpy(np.random.default_rng(0).random(len(labels)) < 0.5)
    losses = []
    for fitted, judged in ((chosen, ~chosen), (~chosen, chosen)):
        mean = averaged(views, fit_temperature(views[0][fitted], labels[fitted]))[judged]
        losses.append(-mean.gather(1, labels[judged, None]).clamp_min(1e-12).log())
    calibrated = averaged(views, fit_temperature(views[0], labels)).argmax(1)
    accuracy = float(right.float().mean())
    of_calibrated = float((calibrated == labels).float().mean())
    cells = (
        title,
        len(views),
        f"{accuracy:.4f}",
        f"+{won} -{lost}",
        f"{of_calibrated:.4f}",
        f"{torch.cat(losses).mean():.4f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run on Stanford Cars")
    parser.add_argument("--root", type=Path, required=True, help="Stanford Cars")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="what is scored")
    parser.add_argument("--eval-scale", type=float, help="data.eval_scale; the run's own if left out")
    parser.add_argument("--val-fraction", type=float, default=0.1, help="that of the run, 0.15 with own_photos.yaml")
    options = parser.parse_args()
    model = ImageClassifier.load(options.run)
    side = int(model.hparams["image_size"])
    scale = options.eval_scale or evaluated_size(model.hparams["preprocessing"], side) / side
    data = StanfordCarsDataModule(
        root=str(options.root), val_fraction=options.val_fraction, image_size=side, eval_scale=scale, num_workers=0
    )
    logits, labels = score(model, data, options.split)
    plain = logits["1.0"].argmax(1) == labels
    print(f"{len(labels)} pictures of {options.split}")
    print(
        "| views | passes | top-1 | against plain | top-1, calibrated | loss, calibrated |\n|---|---|---|---|---|---|"
    )
    for title, wanted in SETS.items():
        print(row(title, [logits[name] for name in names_of(*wanted)], labels, plain), flush=True)


if __name__ == "__main__":
    main()
