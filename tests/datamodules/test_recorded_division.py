"""The record of a division keeps the test set, wherever photographs lie and commands are given."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from datamodules import ImageFolderDataModule, StanfordCarsDataModule

Draw = Callable[[Path, int], None]


@pytest.fixture
def draw() -> Draw:
    def save(path: Path, number: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)

    return save


def parts(root: str, **options: Any) -> dict[str, set[str]]:
    data = ImageFolderDataModule(root=root, image_size=32, **options)
    data.prepare_data()
    return {split: {os.path.realpath(file) for file in data.samples(split).files} for split in ("train", "val", "test")}


@pytest.mark.parametrize("beside", [0, 20], ids=["all elsewhere", "some elsewhere"])
@pytest.mark.parametrize("root", ["set/lists/cars.csv", "{here}/set/lists/cars.csv"], ids=["relative", "absolute"])
def test_photographs_may_lie_beside_the_folder_of_their_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: Draw, root: str, beside: int
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"../photos/{number}.png" for number in range(20)] + [f"{number}.png" for number in range(beside)]
    Path("set/lists").mkdir(parents=True)
    for number, name in enumerate(names):
        draw(tmp_path / "set/lists" / name, number)
    rows = [f"{name},{'xy'[number % 2]}" for number, name in enumerate(names)]
    Path("set/lists/cars.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    first = parts(root.format(here=tmp_path))
    assert parts(root.format(here=tmp_path)) == first
    recorded = [line.split(",")[0].strip('"') for line in Path("set/lists/cars.split.csv").read_text().splitlines()[1:]]
    assert sorted(recorded) == sorted(names)
    monkeypatch.chdir("set/lists")
    assert parts("cars.csv") == first
    monkeypatch.chdir(tmp_path)
    Path("set").rename("moved")
    for split, files in parts("moved/lists/cars.csv").items():
        assert {file.replace("/moved/", "/set/") for file in files} == first[split]


@pytest.mark.parametrize("table", ["", "/cars.csv"], ids=["class folders", "table"])
def test_a_record_that_is_deleted_in_object_storage_is_written_anew(tmp_path: Path, draw: Draw, table: str) -> None:
    bucket = tmp_path / "bucket"
    rows = [f"{'xy'[number % 2]}/{number}.png,{'xy'[number % 2]}" for number in range(40)]
    for number, row in enumerate(rows):
        draw(bucket / row.partition(",")[0], number)
    record = bucket / (f"{table.removesuffix('.csv')}.split.csv" if table else "split.csv").lstrip("/")
    if table:
        (bucket / "cars.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    url, copies = f"file://{bucket}{table}", {"cache_dir": str(tmp_path / "copies")}
    first = parts(url, **copies, test_fraction=0.2)
    assert all(file.startswith(f"{tmp_path}/copies/file{bucket}/") for files in first.values() for file in files)
    assert len(first["test"]) == 8
    written = record.read_bytes()
    assert parts(url, **copies) == first
    assert record.read_bytes() == written
    record.unlink()
    again = parts(url, **copies, test_fraction=0.4)
    assert len(again["test"]) == 16
    assert record.read_bytes() != written
    record.write_bytes(written)  # another machine's
    assert parts(url, **copies) == first


def folders(root: Path, draw: Draw, each: int = 20) -> Path:
    for number in range(2 * each):
        draw(root / ("Audi/A4", "BMW/X5")[number % 2] / f"{number}.png", number)
    ImageFolderDataModule(root=str(root), image_size=32, class_folders="inner").prepare_data()
    assert (root / "split.csv").is_file()
    return root


@pytest.mark.parametrize("split", ["train", "test"])
def test_photographs_that_are_deleted_from_class_folders_are_left_out_and_counted(
    tmp_path: Path, draw: Draw, split: Literal["train", "test"]
) -> None:
    root = folders(tmp_path / "photos", draw)
    before = parts(str(root))
    gone = [Path(file) for file in sorted(before[split])[:2]]
    for file in gone:
        file.unlink()
    with pytest.warns(UserWarning, match=r"38 photographs are listed; passed over: 2 recorded in split\.csv but gone"):
        after = parts(str(root))
    left = {file for files in before.values() for file in files} - {*map(str, gone)}
    assert after["test"] == before["test"] & left
    assert after["train"] | after["val"] == left - before["test"]
    data = ImageFolderDataModule(root=str(root), image_size=32, num_workers=0, batch_size=8)
    for stage in ("fit", "test"):
        data.setup(stage)
    assert sum(len(labels) for _, labels in data.test_dataloader()) == len(after["test"])
    assert [*data.train_dataloader()]


def test_a_class_without_photographs_is_left_out_and_a_renamed_one_is_refused(
    tmp_path: Path, draw: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "photos"
    for number in range(60):
        draw(root / ("Audi/A4", "BMW/X5", "BMW/X6")[number % 3] / f"{number}.png", number)
    before = parts(str(root), class_folders="inner")
    shutil.rmtree(root / "BMW/X5")
    with caplog.at_level("INFO"):
        after = parts(str(root))
    assert "records photographs of 'BMW/X5', all of which are gone: the classes are left out" in caplog.text
    left = {split: {file for file in files if "X5" not in file} for split, files in before.items()}
    assert after["test"] == left["test"]
    assert after["train"] | after["val"] == left["train"] | left["val"]
    data = ImageFolderDataModule(root=str(root), image_size=32)
    assert data.class_names == ["Audi/A4", "BMW/X6"]
    data.setup("fit")
    assert {*np.asarray(data.samples("train").labels).tolist()} == {0, 1}
    (root / "BMW/X6").rename(root / "BMW/X6 M")
    with pytest.raises(MisconfigurationException, match=r"'BMW/X5' and 'BMW/X6', of which .*X6 M, which has"):
        parts(str(root))
    record = root / "split.csv"
    record.write_text(record.read_text().replace("BMW/X6", "BMW/X6 M"))
    assert {split: len(files) for split, files in parts(str(root)).items()} == {
        split: len(files) for split, files in after.items()
    }
    assert ImageFolderDataModule(root=str(root), image_size=32).class_names == ["Audi/A4", "BMW/X6 M"]


def test_deleted_photographs_of_classes_spelled_otherwise_are_known(tmp_path: Path, draw: Draw) -> None:
    names = ["acura tl sedan 2012", "Ram C-V Cargo Van Minivan 2012"]
    for number in range(40):
        draw(tmp_path / "cars" / names[number % 2] / f"{number}.png", number)
    StanfordCarsDataModule(root=str(tmp_path / "cars"), image_size=32).prepare_data()
    for name, number in zip(names, (4, 5), strict=True):
        (tmp_path / "cars" / name / f"{number}.png").unlink()
    data = StanfordCarsDataModule(root=str(tmp_path / "cars"), image_size=32)
    assert len(data.layout.gone) == 2
    assert sum(len(data.samples(split)) for split in ("train", "val", "test")) == 38
    shutil.rmtree(tmp_path / "cars" / names[0])
    assert len(StanfordCarsDataModule(root=str(tmp_path / "cars"), image_size=32).layout.gone) == 21


@pytest.mark.parametrize("where", ["here", "in the bucket"])
def test_of_two_divisions_at_once_the_first_counts(tmp_path: Path, draw: Draw, where: str) -> None:
    root = tmp_path / "photos"
    for number in range(40):
        draw(root / "ab"[number % 2] / f"{number}.png", number)
    place = str(root) if where == "here" else f"file://{root}"
    both = []
    for seed in (0, 1):
        copies = None if where == "here" else str(tmp_path / f"machine-{seed}")
        both.append(ImageFolderDataModule(root=place, image_size=32, split_seed=seed, cache_dir=copies))
        assert both[-1].layout.split_file is not None  # recognised before either has recorded anything
    for data in both:
        data.prepare_data()
    test = [{Path(file).name for file in data.samples("test").files} for data in both]
    assert test[0] == test[1]
    rows = [row.split(",") for row in (root / "split.csv").read_text().replace('"', "").splitlines()]
    assert {path.rpartition("/")[2] for path, _, split in rows if split == "test"} == test[0]
    trained = {Path(file).name for split in ("train", "val") for file in both[1].samples(split).files}
    assert not trained & test[0]


def test_what_cannot_be_seen_and_what_was_written_by_hand_is_not_taken_for_deleted(tmp_path: Path, draw: Draw) -> None:
    root = folders(tmp_path / "photos", draw)
    record = root / "split.csv"
    whole = record.read_text()
    record.write_text(f'{whole}"Audi/A4/misspelt.png","BMW/X5","train"\n')
    with pytest.warns(UserWarning, match="40 photographs are listed; passed over: 1 in the table but missing"):
        parts(str(root))
    record.write_text(whole)
    for name in ("Audi", "BMW"):
        (root / name).rename(tmp_path / name)
    with pytest.raises(MisconfigurationException, match="None of the 40 files that .* lists exists"):
        parts(str(root))
