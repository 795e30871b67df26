"""The command ``export``: a run's classifier as a file for other programs, checked as soon as it is written."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from command_line.tools.evaluated_pictures import evaluated_pictures, evenly
from command_line.tools.int8_check import checked_int8
from datamodules.reading.image_reader import Image
from lightning_modules import ImageClassifier
from lightning_modules.export.exported_classifier import ExportedClassifier
from lightning_modules.export.formats import probabilities_of, to_onnx, to_torch
from lightning_modules.export.hub_folder import hub_files, network_of
from runs.finding import run_of
from runs.whole_file import remove, write_atomically

_WRITERS: dict[str, tuple[str, Callable[[ExportedClassifier, dict[str, str]], bytes]]] = {
    "onnx": (".onnx", to_onnx),
    "torch": (".pt2", to_torch),
}
_PICTURES = 16
_WRITTEN = 1e-4  # of a probability, between PyTorch and the file
_RESIZED = 1e-2  # between the run, whose pictures OpenCV resizes, and the file: a few pixels are rounded otherwise


def export(run: Path, output: Path | None, kind: Literal["onnx", "torch", "hub"], int8: bool = False) -> None:
    """Write a classifier for other programs, and compare its answers.

    Args:
        run: The folder of a run, or a checkpoint.
        output: The file or folder to write, which must not exist; None names it after the run.
        kind: ``onnx``, ``torch``, or ``hub`` for a folder.
        int8: Write weights and activations with eight bits.

    Raises:
        MisconfigurationException: If the file is there already, the network can't be written, or the file answers
            otherwise than the run; then it is removed.
    """
    suffix = _WRITERS[kind][0] if kind in _WRITERS else ""
    found = run_of(run)
    name = f"{found.name if found else run.stem}{'-int8' * int8}"
    file = output or Path(f"{name}{suffix or '-hub'}")
    if int8 and kind != "onnx":
        raise MisconfigurationException("--int8 goes with --format onnx alone.")
    if suffix and file.suffix != suffix:
        raise MisconfigurationException(f"--output is {file}: the suffix of --format {kind} is {suffix}.")
    if file.exists():
        raise MisconfigurationException(f"--output is {file}, which exists already: choose another name.")
    model = ImageClassifier.load(run)
    model.settings = replace(model.settings, precision="32-true")
    model.float()
    exported = ExportedClassifier(model).eval()
    scores = _scores(found.folder) if found else {}
    pictures, what = _pictures(found.folder if found else None)
    same = f"{len(pictures)} {what} have the same answers, probabilities differ by {{:.1g}} at most"
    draft = file.with_name(f".{file.name}{suffix}")
    try:
        if kind == "hub":
            files = hub_files(model, exported.resize.size, exported.temperature, scores)
            rebuilt = ExportedClassifier(model).eval()
            rebuilt.network, rebuilt.temperature = network_of(files, model), 1.0
            said = same.format(_compare(rebuilt, exported, model, pictures))
            draft.mkdir(parents=True)
            for name, content in files.items():
                write_atomically(draft / name, content)
            size = sum(map(len, files.values()))
        else:
            content = _WRITERS[kind][1](exported, _metadata(model, exported, scores))
            write_atomically(draft, content)
            said = same.format(_compare(lambda pixels: probabilities_of(draft, pixels), exported, model, pictures))
            if int8:
                small = checked_int8(content, model.class_names, exported.resize.size, found.folder if found else None)
                content, said = small.content, small.said(len(content))
                write_atomically(draft, content)
            size = len(content)
        draft.replace(file)
    finally:
        remove(draft)
    print(f"{file}: {size / 1e6:.1f} MB, {len(model.class_names)} classes; {said}\n{_usage(file)}")  # noqa: T201 - the result


def _metadata(model: ImageClassifier, exported: ExportedClassifier, scores: dict[str, float]) -> dict[str, str]:
    return {
        "class_names": json.dumps(model.class_names),
        "preprocessing": f"RGB, uint8, (batch, height, width, 3), any size; the network resizes to "
        f"{exported.resize.size}x{exported.resize.size} and normalises",
        "temperature": f"{exported.temperature:g}",
        "backbone": str(model.hparams["backbone"]),
        "scores": json.dumps(scores),
    }


def _usage(file: Path) -> str:
    if file.suffix == ".onnx":
        load = f'session = onnxruntime.InferenceSession("{file}"); classes = json.loads('
        return (
            f'{load}session.get_modelmeta().custom_metadata_map["class_names"])\n'
            'probabilities = session.run(None, {"images": pixels})[0]  # pixels: uint8, (batch, height, width, 3), RGB'
        )
    if file.suffix != ".pt2":
        return f"{file / 'README.md'} says how to load it"
    return (
        f'classifier = torch.export.load("{file}").module()\n'
        "probabilities = classifier(pixels)  # pixels: uint8, (batch, height, width, 3), RGB"
    )


def _compare(
    written: Callable[[Tensor], Tensor], exported: ExportedClassifier, model: ImageClassifier, pictures: list[Image]
) -> float:
    """Compare what was written with PyTorch's answers and the run's; returns the largest difference to the latter."""
    largest = 0.0
    for picture, answer in zip(pictures, model.classify([*pictures]), strict=True):
        pixels = torch.from_numpy(picture[None])
        with torch.inference_mode():
            found = written(pixels)[0]
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
    known = evenly(evaluated_pictures(run), _PICTURES) if run else []
    pictures = [picture for labelled in known if (picture := labelled.read()) is not None]
    if pictures:
        return pictures, "pictures of its evaluation"
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
