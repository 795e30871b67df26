"""Thousands of inputs that nobody means: nothing crashes, hangs or lies.

A sample of them; a hundred times as many are drawn by
``pytest tests/command_line/test_fuzzing.py --hypothesis-profile thorough``.
"""

import contextlib
import csv
import io
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image, ImageOps

from datamodules.files.ignored_names import SYSTEM, reason_by_name
from datamodules.layouts import recognise_layout, write_split
from datamodules.layouts.car_names import CAR_NAMES, official_index
from datamodules.reading.image_reader import MAX_PIXELS, UnreadableImageError, decode_image
from datamodules.samples import Samples
from lightning_modules.networks.weights import read_weights
from runs.checkpoints import read_checkpoint
from tests.runs.test_resume import assert_same
from tests.support.fuzzing import (
    CELLS,
    FILE_NAMES,
    NUMBERS,
    VALUES,
    cases,
    damaged,
    damaged_pictures,
    encoded,
    pictures,
)
from tests.support.layouts import devkit
from train import main


def unless_refused(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; None if it refuses what it gets in one sentence that names it."""
    try:
        return function(*arguments)
    except MisconfigurationException as refusal:
        message = str(refusal)
    assert name in message
    assert "\n" not in message.replace(name, "")
    return None


@cases(1)
@given(damaged_pictures())
def test_a_damaged_picture_is_one_or_is_refused(picture: tuple[str, bytes]) -> None:
    name, data = picture
    image = unless_refused(name, decode_image, data, name)
    if image is None:
        return
    assert image.dtype == np.uint8
    assert image.ndim == image.shape[2] == 3
    assert 0 < image.shape[0] * image.shape[1] <= MAX_PIXELS
    assert np.array_equal(image, decode_image(data, name))  # it isn't what happened to lie in the memory


@cases(0.5)
@given(st.data())
def test_a_part_of_a_file_is_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(pictures())))
    length = data.draw(st.integers(0, len(pictures()[name]) - 1))
    with pytest.raises(UnreadableImageError, match=name):
        decode_image(pictures()[name][:length], name)


@cases(0.5)
@given(
    st.integers(1, 8),
    st.lists(st.integers(-5, 30) | st.integers(-(2**62), 2**62), min_size=4, max_size=4),
)
def test_a_box_cuts_out_what_it_says(orientation: int, box: list[int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    left, top, right, bottom = (min(max(value, 0), limit) for value, limit in zip(box, (24, 16, 24, 16), strict=True))
    data = encoded(Image.fromarray(pixels), "PNG", exif=exif)
    if left >= right or top >= bottom:
        with pytest.raises(UnreadableImageError, match="outside"):
            decode_image(data, "a.png", (box[0], box[1], box[2], box[3]))
        return
    part = Image.fromarray(pixels[top:bottom, left:right])
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(part, "PNG", exif=exif)))))
    assert np.array_equal(decode_image(data, "a.png", (box[0], box[1], box[2], box[3])), expected)


def assert_samples_equal(mine: Samples, theirs: Samples) -> None:
    for field, value in vars(mine).items():
        np.testing.assert_array_equal(value, getattr(theirs, field), field)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzing")


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@cases(1)
@given(st.data())
def test_a_table_says_what_python_reads_in_it(folder: Path, data: st.DataObject) -> None:
    root = emptied(folder / "table")
    kinds = {"path": CELLS, "label": CELLS}
    if data.draw(st.booleans()):
        kinds["split"] = st.sampled_from(["train"] * 8 + ["test", "val", "valid", "Train", ""])
    if data.draw(st.booleans()):
        kinds |= dict.fromkeys(("x1", "y1", "x2", "y2"), st.integers(-10, 99).map(str) | NUMBERS)
    rows = data.draw(st.lists(st.fixed_dictionaries(kinds), min_size=1, max_size=6))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*kinds], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (root / "cars.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    layout = unless_refused(str(root), recognise_layout, root)
    if layout is None:
        return
    parts: dict[str, Samples] = {}
    for part in layout.parts:
        samples = unless_refused(str(root), layout.read, part)
        if samples is None:
            assert any(row["split"].lower() == "train" and not row["label"] for row in rows)
            return
        parts[part] = samples
    rows = [row for row in rows if any(row.values())]  # spreadsheets leave empty ones
    names = [*layout.class_names, ""]  # the last is that of rows without a label
    found: list[tuple[str, str]] = []
    boxes: list[list[int]] = []
    for samples in parts.values():
        assert samples.labels is not None
        found += [(file, names[label]) for file, label in zip(samples.files, samples.labels, strict=True)]
        boxes += [] if samples.boxes is None else samples.boxes.tolist()
    assert sorted(found) == sorted((f"{root}/{row['path'].strip()}", row["label"].strip()) for row in rows)
    if "x1" in kinds:
        assert sorted(boxes) == sorted([round(float(row[name])) for name in ("x1", "y1", "x2", "y2")] for row in rows)
    if "all" not in parts:
        return
    assert layout.split_file is not None
    write_split(layout.split_file, root, {"train": parts["all"]}, layout.class_names)
    recorded = recognise_layout(root)
    assert recorded.class_names == layout.class_names
    assert_samples_equal(recorded.read("train"), parts["all"])


@cases(1)
@given(st.sampled_from(["cars_meta.mat", "cars_train_annos.mat"]), st.data())
def test_a_damaged_devkit_is_as_before_or_is_refused(folder: Path, name: str, data: st.DataObject) -> None:
    root = folder / "devkit"
    if not root.exists():
        devkit(root)
    file = root / "devkit" / name
    whole, before = file.read_bytes(), recognise_layout(root)
    file.write_bytes(data.draw(damaged(whole)))
    try:
        layout = unless_refused(str(root), recognise_layout, root)
        samples = None if layout is None else unless_refused(str(root), layout.read, "train")
    finally:
        file.write_bytes(whole)
    if samples is not None:
        assert layout.class_names == before.class_names
        assert_samples_equal(samples, before.read("train"))


@cases(0.25)
@given(st.sets(FILE_NAMES.filter(lambda name: reason_by_name(name) != SYSTEM), min_size=2, max_size=5))
def test_folders_of_any_name_are_classes_as_torchvision_has_them(folder: Path, names: set[str]) -> None:
    root = emptied(folder / "classes")
    for part in ("train", "test"):
        for name in names:
            (root / part / name).mkdir(parents=True)
            (root / part / name / "1.png").write_bytes(pictures()["drawing.png"])
    layout = unless_refused(str(root), recognise_layout, root)
    if layout is None:
        assert any(not name.strip() for name in names)
        return
    reference = torchvision.datasets.ImageFolder(str(root / "train"))
    spelled = {name: unicodedata.normalize("NFC", name).strip() for name in reference.classes}
    assert layout.class_names == sorted({*spelled.values()})
    samples = layout.read("train")
    assert samples.labels is not None
    found = [
        (file, layout.class_names[label])
        for file, label in zip(samples.files.tolist(), samples.labels.tolist(), strict=True)
    ]
    assert sorted(found) == sorted((file, spelled[reference.classes[label]]) for file, label in reference.samples)


@cases(1)
@given(st.sampled_from(CAR_NAMES), st.data())
def test_official_names_are_known_in_any_spelling(name: str, data: st.DataObject) -> None:
    signs = st.sampled_from(["", " ", "_", "-"])
    cased = [data.draw(st.sampled_from([letter, letter.lower(), letter.upper()])) for letter in name]
    spelt = "".join(letter if letter.isalnum() else data.draw(signs) for letter in cased)
    assert official_index(spelt) == CAR_NAMES.index(name)
    assert official_index(f"{spelt}x") is None


@pytest.fixture(scope="module")
def checkpoint(folder: Path, toy_root: Path) -> Path:
    """A trained network, once for all tests of this file."""
    options = ["--config=configs/demo.yaml", f"--data.root={toy_root}", "--data.image_size=64", "--data.num_workers=0"]
    options += ["--data.train_images=10", "--data.test_images=5", "--model.backbone=squeezenet1_1"]
    options += ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.enable_progress_bar=false"]
    main(["fit", *options, f"--trainer.logger.init_args.save_dir={folder / 'trained'}"])
    return next(folder.glob("trained/demo/*/checkpoints/last.ckpt"))


@cases(0.5)
@given(data=st.data())
def test_a_damaged_checkpoint_is_as_before_or_is_refused(folder: Path, checkpoint: Path, data: st.DataObject) -> None:
    file = folder / "damaged.ckpt"
    file.write_bytes(data.draw(damaged(checkpoint.read_bytes())))
    content = unless_refused(str(file), read_checkpoint, file)
    if content is not None:
        assert_same(content, read_checkpoint(checkpoint))


@cases(0.5)
@given(data=st.data())
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_weights_are_tensors_or_are_refused(folder: Path, suffix: str, data: st.DataObject) -> None:
    state, file = {"a.weight": torch.ones(3, 4), "a.bias": torch.zeros(3)}, folder / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        safetensors.torch.save_file(state, file)
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    read = unless_refused(str(file), read_weights, file)
    assert read is None or all(isinstance(value, torch.Tensor) for value in read.values())


@cases(0.02)
@given(photographs=st.dictionaries(FILE_NAMES, damaged_pictures(), min_size=3, max_size=30))
def test_predictions_are_of_what_can_be_read(
    folder: Path, checkpoint: Path, photographs: dict[str, tuple[str, bytes]]
) -> None:
    root, readable = emptied(folder / "photographs"), []
    for name, (source, data) in photographs.items():
        file = root / f"{name[:40]}{Path(source).suffix}"
        file.write_bytes(data)
        try:
            decode_image(data, file)
            readable.append(str(file))
        except UnreadableImageError:
            pass
    strange = root / os.fsdecode(b"\xff\xe9.png")  # Latin-1, as old cameras and archives leave it
    strange.write_bytes(pictures()["drawing.png"])
    readable.append(str(strange))
    options = ["--trainer.enable_progress_bar=false", "--data.image_size=64", "--data.num_workers=0"]
    options += [f"--data.predict_dir={root}"]
    main(["predict", "--config", str(checkpoint.parents[1] / "config.yaml"), f"--ckpt_path={checkpoint}", *options])
    written = checkpoint.parents[1] / "predict"
    with (written / "predictions.csv").open(newline="", encoding="utf-8-sig", errors="surrogateescape") as table:
        rows = list(csv.DictReader(table))
    shutil.rmtree(written)
    assert {row["file"] for row in rows if not row["error"]} == set(readable)
    assert len(rows) == len({row["file"] for row in rows}) == len(list(root.iterdir()))
    for row in (row for row in rows if not row["error"]):
        probabilities = [float(row[f"probability_{number}"]) for number in range(1, 6)]
        assert probabilities == sorted(probabilities, reverse=True)
        assert probabilities[4] >= 0
        assert sum(probabilities) <= 1 + 1e-5


def leaves(config: object, name: str = "") -> Iterator[str]:
    if isinstance(config, dict) and config:
        for key, value in config.items():
            yield from leaves(value, f"{name}.{key}" if name else key)
    else:
        yield name


@pytest.fixture(scope="module")
def keys() -> list[str]:
    """All options of the demo, but for those that would wait for other machines or start processes."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        main(["fit", "--config=configs/demo.yaml", "--print_config"])
    left_out = {f"trainer.{name}" for name in ("num_nodes", "devices", "strategy", "accelerator")}
    writer = ("purge_step", "max_queue", "flush_secs", "filename_suffix")  # of PyTorch, which looks at none of them
    left_out |= {f"trainer.logger.init_args.{name}" for name in writer}
    return sorted({*leaves(yaml.safe_load(printed.getvalue()))} - left_out - {"data.init_args.num_workers"})


def short(key: str) -> str:
    return key.replace("data.init_args.", "data.")


@pytest.mark.slow
@cases(0.05)
@given(data=st.data())
def test_a_config_runs_or_is_refused_in_one_sentence(
    arguments: list[str], keys: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], data: st.DataObject,
) -> None:  # fmt: skip
    work = emptied(folder / "configs")
    monkeypatch.chdir(work)
    drawn = data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=2, unique=True))
    for number, key in enumerate(drawn):
        lines = [f"{'  ' * depth}{part}:" for depth, part in enumerate(key.split("."))]
        (work / f"{number}.yaml").write_text("\n".join(lines) + f" {data.draw(VALUES)}\n")
    limits = [f"--trainer.limit_{split}_batches=1" for split in ("train", "val")]
    configs = [f"--config={file}" for file in sorted(work.iterdir())]
    capsys.readouterr()
    try:
        typed = [*arguments, "--trainer.max_epochs=1", "--tta.scales=[1.0]", *limits]  # which would win over the files
        typed = [option for option in typed if option.partition("=")[0] not in {f"--{short(key)}" for key in drawn}]
        main(["fit", *typed, *configs])
    except SystemExit as stop:
        answer = stop.code
        if answer == 2:
            answer = capsys.readouterr().err.strip().splitlines()[-1]
        assert isinstance(answer, str), answer
        assert answer.startswith("train.py: error: ")
        assert "\n" not in answer
    finally:
        os.environ.pop("PL_GLOBAL_SEED", None)
