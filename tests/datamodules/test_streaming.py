"""Converted data sets train and score as the files do that they were made from."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import ImageFolderDataModule, StreamingDataModule, ToyCarsDataModule
from datamodules.check import check_data
from datamodules.chunks.conversion import convert
from datamodules.loading.samplers import ShuffledSampler, shuffled_in_blocks
from tests.support.checkout import CHECKOUT
from tests.support.photos import class_folders
from tests.support.processes import run_devices
from train import main

pytestmark = pytest.mark.slow

ToyData = Callable[..., ToyCarsDataModule]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.chunks.conversion._CHUNK_BYTES", 40_000)  # about ten pictures


@pytest.fixture
def stream(toy_data: ToyData, tmp_path: Path, small_chunks: None) -> Path:
    convert(toy_data(), tmp_path / "stream")
    assert len(list((tmp_path / "stream/train").glob("*.bin"))) > 3
    return tmp_path / "stream"


def streamed(arguments: Sequence[str], root: Path) -> list[str]:
    """The arguments of a run, with the overlay in the place of the drawn cars."""
    toy_only = ("--data.train_images", "--data.test_images", "--data.val_fraction", "--data.root")
    kept = [argument for argument in arguments if not argument.startswith(toy_only)]
    return [*kept, "--config", str(CHECKOUT / "configs/streaming.yaml"), f"--data.root={root}"]


def test_one_command_converts_and_one_overlay_trains(
    run: Callable[..., None], arguments: list[str], tmp_path: Path, small_chunks: None
) -> None:
    run("convert", f"--output={tmp_path / 'stream'}")
    options = streamed(arguments, tmp_path / "stream")
    main(["fit", *options, "--data.num_workers=2"])
    folder, scores = tmp_path / "logs/demo/version_0", []
    for same, name in ((options, "test"), (arguments, "test-2")):
        main(["test", *same, "--ckpt_path=last"])
        scores.append(json.loads((folder / name / "test_scores.json").read_text()))
    assert scores[0] == scores[1]
    main(["predict", *options, "--ckpt_path=last", f"--data.predict_dir={CHECKOUT / 'docs/figures'}"])


def test_two_devices_score_as_one(arguments: list[str], stream: Path, tmp_path: Path, run: Callable[..., None]) -> None:
    run("fit", "--trainer.max_epochs=1")
    options = streamed(arguments, stream)
    scores: list[dict[str, Any]] = []
    for devices in (2, 1):
        run_devices(["test", *options, "--data.batch_size=6", "--ckpt_path=last"], devices)  # 40 images
        folder = tmp_path / "logs/demo/version_0" / ("test" if devices == 2 else "test-2")
        found = json.loads((folder / "test_scores.json").read_text())
        scores.append({key: value for key, value in found.items() if key != "checkpoint"})
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    run_devices(["fit", *options, "--trainer.max_epochs=1", "--data.batch_size=6"], 2)


def test_larger_pictures_shrink_with_their_boxes(toy_data: ToyData, tmp_path: Path, run: Callable[..., None]) -> None:
    run("convert", f"--output={tmp_path / 'stream'}", "--max_side=96")
    data, files = StreamingDataModule(root=str(tmp_path / "stream"), num_workers=0), toy_data()
    data.setup("test")
    files.setup("test")
    mine, theirs = data.datasets["test"], files.datasets["test"]
    assert mine.samples.boxes is not None
    assert theirs.samples.boxes is not None
    for index, name in enumerate(mine.samples.files):
        other = list(theirs.samples.files).index(name)
        assert mine.read(index).shape == (72, 96, 3)  # of 144 by 192
        expected = cv2.resize(theirs.read(other), (96, 72), interpolation=cv2.INTER_AREA)
        assert np.abs(mine.read(index).astype(int) - expected).mean() < 3
        assert np.abs(mine.samples.boxes[index] - theirs.samples.boxes[other] / 2).max() < 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pictures_labels_and_boxes_are_those_of_the_files(stream: Path, toy_data: ToyData, method: str) -> None:
    options: dict[str, Any] = {"image_size": 64, "batch_size": 16, "crop_to_box": True, "seed": 1}
    data, files = StreamingDataModule(root=str(stream), num_workers=0, **options), toy_data(**options)
    assert data.class_names == files.class_names
    for stage in ("fit", "test"):
        data.setup(stage)
        files.setup(stage)
    for split in ("train", "val", "test"):
        mine, theirs = data.datasets[split], files.datasets[split]
        names = list(theirs.samples.files)
        assert sorted(mine.samples.files) == sorted(names)
        for index in range(len(mine)):
            other = names.index(mine.samples.files[index])
            np.testing.assert_array_equal(mine.read(index), theirs.read(other))
            assert data.labels(split)[index] == files.labels(split)[other]
    expected = [(images, labels) for images, labels in data.train_dataloader()]
    parallel = StreamingDataModule(root=str(stream), num_workers=2, **options)
    parallel.setup("fit")
    loader = parallel.train_dataloader()
    loader.multiprocessing_context = method
    for batch, (images, labels) in zip(loader, expected, strict=True):
        assert torch.equal(batch[0], images)
        assert torch.equal(batch[1], labels)


def test_shuffling_keeps_to_a_few_blocks_at_a_time() -> None:
    order = shuffled_in_blocks(1000, 10, torch.Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(1000))
    for start in range(0, 1000, 80):
        assert len({index // 10 for index in order[start : start + 80].tolist()}) <= 8
    assert (order[:80] // 10).diff().abs().min() == 0
    assert order[:80].tolist() != sorted(order[:80].tolist())
    assert len({int(index) // 10 for index in order[:8]}) > 3


def test_epochs_differ_and_devices_share_one_order(stream: Path) -> None:
    data = StreamingDataModule(root=str(stream), image_size=64, batch_size=16, num_workers=0)
    data.setup("fit")
    dataset = data.datasets["train"]
    sampler = ShuffledSampler(dataset, seed=1)
    first = [draw.sample for draw in sampler]
    sampler.set_epoch(1)
    assert sorted(first) == list(range(64))
    assert [draw.sample for draw in sampler] != first
    shards = [list(ShuffledSampler(dataset, 1, 2, rank)) for rank in (0, 1)]
    assert [draw.sample for step in zip(*shards, strict=True) for draw in step] == first


def test_chunks_may_lie_elsewhere(stream: Path, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        (tmp_path / "bucket").mkdir(exist_ok=True)
        (stream / split).rename(tmp_path / "bucket" / split)
    data = StreamingDataModule(root=str(stream), chunks=str(tmp_path / "bucket"), image_size=64, num_workers=0)
    data.setup("test")
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 40


def test_nothing_but_chunks_is_removed_from_the_cache_folder(stream: Path, tmp_path: Path) -> None:
    others = [tmp_path / "scratch/holidays/2021/1.jpg", tmp_path / "scratch/holidays/.draft-letter"]
    for file in others:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"mine")
    os.utime(others[1], (0, 0))
    data = StreamingDataModule(
        root=f"file://{stream}", cache_dir=str(tmp_path / "scratch"), cache_gb=60e3 / 1e9, image_size=64, num_workers=0
    )
    data.setup("fit")
    assert len(list((tmp_path / "scratch").rglob("*.bin"))) == 0
    assert sum(len(labels) for _, labels in data.train_dataloader()) == 64
    assert 0 < len(list((tmp_path / "scratch").rglob("*.bin"))) < len(list(stream.glob("train/*.bin")))
    assert all(file.read_bytes() == b"mine" for file in others)


def test_a_check_reads_the_chunks_and_files_keep_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    class_folders(Path("photos"), ["a", "b"])
    folder = ImageFolderDataModule(root="photos")
    folder.prepare_data()
    convert(folder, Path("stream"))
    shutil.rmtree("photos")
    data = StreamingDataModule(root="stream")
    assert check_data(data, "check")
    assert "20 images of 2 classes: 0 kinds of error" in capsys.readouterr().out
    for split in ("train", "test"):
        assert {*data.samples(split).files} == {*folder.samples(split).files}


def test_a_part_that_the_table_does_not_list_is_none(toy_data: ToyData, tmp_path: Path) -> None:
    convert(toy_data(val_fraction=0), tmp_path / "stream")
    (tmp_path / "stream/val").mkdir()
    (tmp_path / "stream/val/index.json").write_text("{}")  # of a conversion that was interrupted
    assert StreamingDataModule(root=str(tmp_path / "stream")).not_validated


def test_mistakes_are_named(stream: Path, mistake: Callable[..., str], tmp_path: Path, toy_data: ToyData) -> None:
    assert "which exists already" in mistake("convert", f"--output={stream}")
    assert "train.py convert hasn't written" in mistake(
        "fit", "--data=datamodules.StreamingDataModule", f"--data.root={tmp_path}"
    )
    data = StreamingDataModule(root=str(stream), image_size=64)
    shutil.rmtree(stream / "test")
    with pytest.raises(MisconfigurationException, match="Can't read the chunks"):
        data.setup("test")
    file = Path(str(toy_data().samples("train").files[0]))
    copy = tmp_path / "copy"
    shutil.copytree(file.parents[2], copy)
    (copy / file.relative_to(file.parents[2])).write_bytes(b"no picture")
    with pytest.raises(MisconfigurationException, match=file.name):
        convert(toy_data(root=str(copy)), tmp_path / "other")
    assert not (tmp_path / "other").exists()
