"""The command ``export``: a run's classifier as a file for other programs, checked as soon as it is written."""

import csv
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.reading.image_reader import Image, UnreadableImageError, read_image
from lightning_modules import ImageClassifier
from lightning_modules.export.exported_classifier import ExportedClassifier
from lightning_modules.export.formats import probabilities_of, to_onnx, to_torch
from runs.finding import run_of
from runs.whole_file import write_atomically

Format: TypeAlias = Literal["onnx", "torch"]

_WRITERS: dict[Format, tuple[str, Callable[[ExportedClassifier, dict[str, str]], bytes]]] = {
    "onnx": (".onnx", to_onnx),
    "torch": (".pt2", to_torch),
}
_PICTURES = 16
_WRITTEN = 1e-4  # of a probability, between PyTorch and the file
_RESIZED = 1e-2  # between the run, whose pictures OpenCV resizes, and the file: a few pixels are rounded otherwise


def export(run: Path, output: Path | None, kind: Format) -> None:
    """Write a classifier that takes raw pixels and returns calibrated probabilities, and compare its answers.

    Args:
        run: The folder of a run, or a checkpoint.
        output: The file to write, which must not exist; None names it after the run.
        kind: ``onnx`` or ``torch``.

    Raises:
        MisconfigurationException: If the file is there already, the network can't be written, or the file answers
            otherwise than the run; then it is removed.
    """
    suffix, write = _WRITERS[kind]
    found = run_of(run)
    file = output or Path(f"{found.name if found else run.stem}{suffix}")
    if file.suffix != suffix:
        raise MisconfigurationException(f"--output is {file}: the suffix of --format {kind} is {suffix}.")
    if file.exists():
        raise MisconfigurationException(f"--output is {file}, which exists already: choose another name.")
    model = ImageClassifier.load(run)
    model.settings = replace(model.settings, precision="32-true")
    model.float()
    exported = ExportedClassifier(model)
    scores = _scores(found.folder) if found else {}
    metadata = {
        "class_names": json.dumps(model.class_names),
        "preprocessing": f"RGB, uint8, (batch, height, width, 3), any size; the network resizes to "
        f"{exported.resize.size}x{exported.resize.size} and normalises",
        "temperature": f"{exported.temperature:g}",
        "backbone": str(model.hparams["backbone"]),
        "scores": json.dumps(scores),
    }
    pictures, what = _pictures(found.folder if found else None)
    content = write(exported, metadata)
    draft = file.with_name(f".{file.name}{suffix}")
    try:
        write_atomically(draft, content)
        difference = _compare(draft, exported.eval(), model, pictures)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    print(  # noqa: T201 - the result
        f"{file}: {len(content) / 1e6:.1f} MB, {len(model.class_names)} classes; {len(pictures)} {what} have the same "
        f"answers, probabilities differ by {difference:.1g} at most\n{_usage(file)}"
    )


def _usage(file: Path) -> str:
    if file.suffix == ".onnx":
        load = f'session = onnxruntime.InferenceSession("{file}"); classes = json.loads('
        return (
            f'{load}session.get_modelmeta().custom_metadata_map["class_names"])\n'
            'probabilities = session.run(None, {"images": pixels})[0]  # pixels: uint8, (batch, height, width, 3), RGB'
        )
    return (
        f'classifier = torch.export.load("{file}").module()\n'
        "probabilities = classifier(pixels)  # pixels: uint8, (batch, height, width, 3), RGB"
    )


def _compare(file: Path, exported: ExportedClassifier, model: ImageClassifier, pictures: list[Image]) -> float:
    """Compare the answers of a file with PyTorch's and the run's; returns the largest difference to the latter."""
    largest = 0.0
    for picture, answer in zip(pictures, model.classify([*pictures]), strict=True):
        pixels = torch.from_numpy(picture[None])
        found = probabilities_of(file, pixels)[0]
        with torch.inference_mode():
            same = float((found - exported(pixels)[0]).abs().max())
        expected = torch.tensor([answer[name] for name in model.class_names])
        difference = float((found - expected).abs().max())
        largest = max(largest, difference)
        sure = float(expected.topk(2).values.diff().abs()) > 2 * difference
        right = found.argmax() == expected.argmax() or not sure
        if not (same <= _WRITTEN and difference <= _RESIZED and right):
            raise MisconfigurationException(
                f"The exported network answers otherwise than the run: a probability differs by {difference:.2g}, by "
                f"{same:.2g} from what was to be written. Nothing was kept; report this with the name of the network."
            )
    return largest


def _pictures(run: Path | None) -> tuple[list[Image], str]:
    """Take pictures that the run was evaluated on, or drawn ones; and what to call them."""
    files: list[str] = []
    for table in sorted(run.glob("*/predictions.csv")) if run else []:
        with table.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as rows:
            files += [row["file"] for row in csv.DictReader(rows) if row.get("class") is not None]
    pictures: list[Image] = []
    files = [*dict.fromkeys(files)]
    for file in files[:: max(1, len(files) // _PICTURES)]:
        with suppress(UnreadableImageError):
            pictures.append(read_image(file))
    if pictures:
        return pictures[:_PICTURES], "pictures of its evaluation"
    random = np.random.default_rng(0)
    sizes = [(300, 400), (600, 500), (1000, 1500), (90, 120)]
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes], "random pictures"


def _scores(run: Path) -> dict[str, float]:
    """Read the scores of the newest test."""
    scores: dict[str, float] = {}
    folders = [run / "test", *(run / f"test-{number}" for number in range(2, 1000))]
    for folder in takewhile(Path.is_dir, folders):
        with suppress(OSError, ValueError):
            content = json.loads((folder / "test_scores.json").read_text(encoding="utf-8"))
            scores = {name: value for name, value in content.items() if name.startswith("test")}
    return scores
