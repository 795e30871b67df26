"""The record of a division keeps the test set, wherever photographs lie and commands are given."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules import ImageFolderDataModule

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
