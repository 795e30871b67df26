"""The other frameworks' sides of benchmarks/loader.py: imports nothing of this project."""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

_BATCH = 32
_WARM = 12
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Pictures(Dataset[Any]):
    """Pictures and a label each.

    Args:
        files: Their paths.
        transform: What is done to a picture.
        decode: Reads a file.
    """

    def __init__(self, files: list[str], transform: Callable[[Any], Any], decode: Callable[[str], Any]) -> None:
        self.files = files
        self.transform = transform
        self.decode = decode

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Load one of them."""
        return self.transform(self.decode(self.files[index])), 0


def open_picture(file: str) -> Any:
    """Read a file by Pillow, as torchvision's data sets and timm's do."""
    with Path(file).open("rb") as handle:
        return Image.open(handle).convert("RGB")


def decode_tensor(file: str) -> Any:
    """Read a file by torchvision."""
    io: Any = import_module("torchvision.io")
    return io.decode_image(io.read_file(file), mode="RGB")


def pictures_loader(options: argparse.Namespace, transform: Any, decode: Any = open_picture, **more: Any) -> Any:
    """Make a loader of PyTorch."""
    dataset = Pictures(json.loads(options.files.read_text()), transform, decode)
    return DataLoader(
        dataset, _BATCH, shuffle=True, drop_last=True, num_workers=options.workers, persistent_workers=True, **more
    )


def torchvision_jittered(options: argparse.Namespace, version: str) -> Any:
    """Make torchvision's loader at the strength of all."""
    side = options.image_size
    if version == "v1":
        transforms: Any = import_module("torchvision.transforms")
        end = [transforms.ToTensor(), transforms.Normalize(_MEAN, _STD)]
    else:
        transforms = import_module("torchvision.transforms.v2")
        end = [transforms.ToDtype(torch.float32, scale=True), transforms.Normalize(_MEAN, _STD)]
        if version == "v2 PIL":
            end.insert(0, transforms.ToImage())
    steps = [
        transforms.RandomResizedCrop(side, scale=(0.5, 1.0), antialias=True),
        transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02),
    ]
    if version == "v2 uint8":  # normalised on the device, as here
        return pictures_loader(options, transforms.Compose(steps), decode_tensor)
    return pictures_loader(options, transforms.Compose([*steps, *end]))


def torchvision_reference(options: argparse.Namespace) -> Any:
    """Make the loader of torchvision's reference for classification: crop of 8 % to all, flip, normalisation."""
    transforms: Any = import_module("torchvision.transforms")
    steps = [
        transforms.RandomResizedCrop(options.image_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(_MEAN, _STD),
    ]
    return pictures_loader(options, transforms.Compose(steps))


def hugging_face(options: argparse.Namespace) -> Any:
    """Make the loader of the Trainer's example: the same steps, a dict for each picture, and its collate function."""
    transforms: Any = import_module("torchvision.transforms")
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(options.image_size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(_MEAN, _STD),
        ]
    )

    def join(examples: list[Any]) -> dict[str, Any]:
        return {"pixel_values": torch.stack([e[0] for e in examples]), "labels": torch.tensor([e[1] for e in examples])}

    return pictures_loader(options, steps, collate_fn=join)


def timm_loader(options: argparse.Namespace, jittered: bool) -> Any:
    """Make timm's loader: uint8 batches, normalised on the device."""
    data: Any = import_module("timm.data")
    strength: dict[str, Any] = {"color_jitter": 0.4}
    if jittered:
        strength = {"scale": (0.5, 1.0), "color_jitter": (0.2, 0.2, 0.2, 0.02), "color_jitter_prob": None}
    dataset = Pictures(json.loads(options.files.read_text()), None, open_picture)  # type: ignore[arg-type]
    dataset.transform = data.create_transform(
        (3, options.image_size, options.image_size), is_training=True, use_prefetcher=True, **strength
    )
    collate = import_module("timm.data.loader").fast_collate
    return DataLoader(
        dataset,
        _BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=options.workers,
        persistent_workers=True,
        collate_fn=collate,
    )


def fastai_loader(options: argparse.Namespace, jittered: bool) -> Any:
    """Make fastai's loader: a crop of each picture, and its transforms of whole batches on the device."""
    vision: Any = import_module("fastai.vision.all")
    batch = vision.aug_transforms(size=options.image_size, min_scale=0.75)
    crop = vision.Resize(round(options.image_size * 1.15))
    if jittered:
        crop = vision.RandomResizedCrop(options.image_size, min_scale=0.5)
        batch = [
            vision.Flip(),
            *(step(0.2, p=1.0) for step in (vision.Brightness, vision.Contrast, vision.Saturation)),
            vision.Hue(0.02, p=1.0),
        ]
    return vision.ImageDataLoaders.from_lists(
        Path("/"),
        [Path(file) for file in json.loads(options.files.read_text())],
        [str(number % 2) for number in range(len(json.loads(options.files.read_text())))],
        valid_pct=0.01,
        item_tfms=crop,
        batch_tfms=batch,
        bs=_BATCH,
        num_workers=options.workers,
        device=torch.device("cpu"),
    ).train


def forever(loader: Any) -> Iterator[int]:
    """Repeat a loader, and give the number of images of each batch."""
    while True:
        for batch in loader:
            first = batch["pixel_values"] if isinstance(batch, dict) else batch[0]
            yield len(first)


def measure_side() -> None:
    """Measure a side, and print its images a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("name")
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--image-size", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    jittered = options.table == "jittered"
    builders: dict[str, Callable[[], Any]] = {
        "torchvision v1 (PIL)": lambda: torchvision_jittered(options, "v1"),
        "torchvision v2 (PIL)": lambda: torchvision_jittered(options, "v2 PIL"),
        "torchvision v2 (uint8)": lambda: torchvision_jittered(options, "v2 uint8"),
        "torchvision reference": lambda: torchvision_reference(options),
        "Hugging Face example": lambda: hugging_face(options),
        "timm": lambda: timm_loader(options, jittered),
        "fastai": lambda: fastai_loader(options, jittered),
    }
    counts = forever(builders[options.name]())
    for _ in range(_WARM):
        next(counts)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < options.seconds:
        count += next(counts)
    print(count / (time.perf_counter() - began))


if __name__ == "__main__":
    measure_side()
