"""The command ``export``: a run's classifier as a file for other programs, checked as soon as it is written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.tools.export_check import AnswerCheck
from command_line.tools.int8_check import checked_int8
from command_line.tools.web_folder import NETWORK, runtime_files, web_files
from lightning_modules import ImageClassifier
from lightning_modules.export.exported_classifier import ExportedClassifier
from lightning_modules.export.formats import probabilities_of, to_onnx, to_torch
from lightning_modules.export.hub_folder import hub_files, network_of
from results.evaluation_folders import data_root, evaluation_folders, preferred, read_scores
from runs.finding import run_of
from runs.run import Run
from runs.whole_file import remove, write_atomically

Kind: TypeAlias = Literal["onnx", "torch", "hub", "web"]
_SCORES = "test_scores.json"
_SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}


def export(run: Path, output: Path | None, kind: Kind, int8: bool = False, eval_scale: float | None = None) -> None:
    """Write a classifier for other programs, and compare its answers.

    Args:
        run: The folder of a run, or a checkpoint.
        output: The file or folder to write, which must not exist; None names it after the run.
        kind: ``onnx``, ``torch``, ``hub`` for a folder that hubs read, or ``web`` for one with a static page.
        int8: Write weights and activations with eight bits.
        eval_scale: As that of ``ImageClassifier.load``.

    Raises:
        MisconfigurationException: If the file is there already, the network can't be written, or the file answers
            otherwise than the run; then it is removed.
    """
    found = run_of(run)
    title = found.name if found else run.stem
    suffix = _SUFFIXES.get(kind, "")
    file = output or Path(f"{title}{'-int8' * int8}{suffix or f'-{kind}'}")
    if int8 and kind != "onnx":
        raise MisconfigurationException("--int8 goes with --format onnx alone.")
    if suffix and file.suffix != suffix:
        raise MisconfigurationException(f"--output is {file}: the suffix of --format {kind} is {suffix}.")
    if file.exists():
        raise MisconfigurationException(f"--output is {file}, which exists already: choose another name.")
    runtime = runtime_files() if kind == "web" else {}  # what may be missing, before the work
    model = ImageClassifier.load(run, eval_scale=eval_scale)
    model.settings = replace(model.settings, precision="32-true")
    model.float()
    if int8 and model.settings.box_margin is not None:
        raise MisconfigurationException(
            "--int8 compares answers to whole pictures, but this network was trained on pictures cut out along their "
            "boxes (data.crop_to_box): export it in floats."
        )
    exported = ExportedClassifier(model).eval()
    scores, place = _scores(found)
    check = AnswerCheck(model, exported, found.folder if found else None)
    draft = file.with_name(f".{file.name}{suffix}")
    try:
        if kind == "hub":
            files = hub_files(model, exported.resize.size, exported.temperature, scores, place)
            rebuilt = ExportedClassifier(model).eval()
            rebuilt.network, rebuilt.temperature = network_of(files, model), 1.0
            said = check.said(rebuilt)
        else:
            written = draft / NETWORK if kind == "web" else draft
            content = (to_torch if kind == "torch" else to_onnx)(exported, _metadata(model, exported, scores, place))
            write_atomically(written, content)
            said = check.said(lambda pixels: probabilities_of(written, pixels))
            if int8:
                small = checked_int8(content, model.class_names, exported.resize.size, found.folder if found else None)
                content, said = small.content, small.said(len(content))
            files = {"": content}
            if kind == "web":
                subtitle = f"{len(model.class_names):,} classes, {model.hparams['backbone']}"
                files = web_files(content, model.class_names, title, subtitle, runtime)
        for name, content in files.items():
            write_atomically(draft / name, content)
        draft.replace(file)
    finally:
        remove(draft)
    size = sum(map(len, files.values()))
    print(f"{file}: {size / 1e6:.1f} MB, {len(model.class_names)} classes; {said}\n{_usage(file, kind)}")  # noqa: T201 - the result


def _metadata(
    model: ImageClassifier, exported: ExportedClassifier, scores: dict[str, float], place: str | None
) -> dict[str, str]:
    return {
        "class_names": json.dumps(model.class_names),
        "preprocessing": f"RGB, uint8, (batch, height, width, 3), any size; the network resizes to "
        f"{exported.resize.size}x{exported.resize.size} and normalises",
        "temperature": f"{exported.temperature:g}",
        "backbone": str(model.hparams["backbone"]),
        "scores": json.dumps(scores),
        **({"tested_on": Path(place).name} if place else {}),
    }


def _usage(file: Path, kind: Kind) -> str:
    if kind == "hub":
        return f"{file / 'README.md'} says how to load it"
    if kind == "web":
        return f"python -m http.server --directory {file}  # or any static host; then open http://localhost:8000"
    if kind == "torch":
        return (
            f'classifier = torch.export.load("{file}").module()\n'
            "probabilities = classifier(pixels)  # pixels: uint8, (batch, height, width, 3), RGB"
        )
    load = f'session = onnxruntime.InferenceSession("{file}"); classes = json.loads('
    return (
        f'{load}session.get_modelmeta().custom_metadata_map["class_names"])\n'
        'probabilities = session.run(None, {"images": pixels})[0]  # pixels: uint8, (batch, height, width, 3), RGB'
    )


def _scores(run: Run | None) -> tuple[dict[str, float], str | None]:
    """Read the scores of the newest test of the best checkpoint on the run's own data.

    If there is none they are those of another checkpoint, or on other data, whose place comes too.
    """
    own = data_root(run.config) if run else None
    tests = preferred(run, evaluation_folders(run, "test", _SCORES, own), _SCORES) if run else []
    for test in tests:
        if content := read_scores(test.folder / _SCORES):
            scores = {name: value for name, value in content.items() if name.startswith("test")}
            return scores, test.root if test.elsewhere else None
    return {}, None
