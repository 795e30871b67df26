"""Tables in Parquet: the photographs, names of classes and texts that lie in them."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from datamodules import ImageFolderDataModule
from datamodules.layouts import recognise_layout
from datamodules.photographs.photograph_search import list_photographs
from tests.support.label_tables import found, photographs


def test_pictures_in_parquet_go_before_the_names_of_files_that_are_not_there(tmp_path: Path) -> None:
    labels = photographs(tmp_path / "source")
    images = [{"bytes": (tmp_path / "source" / file).read_bytes(), "path": file} for file in labels]
    columns = {"image": images, "label": [*labels.values()], "file_name": [*labels]}
    (tmp_path / "set").mkdir()
    parquet.write_table(pa.table(columns), tmp_path / "set/train.parquet")
    data = ImageFolderDataModule(root=str(tmp_path / "set"), val_fraction=0.3)
    data.prepare_data()
    assert all(Path(file).is_file() for file in data.samples("train").files)
    assert any("the path is taken from 'image', not from 'file_name'" in note for note in data.layout.notes)
    listed = list_photographs(str(tmp_path / "set/train.parquet"), cropping=False)  # which takes no stored pictures
    assert [photograph.file for photograph in listed] == [str(tmp_path / "set" / file) for file in labels]
    columns.pop("file_name")
    parquet.write_table(pa.table(columns), tmp_path / "set/stored.parquet")
    (refused,) = list_photographs(str(tmp_path / "set/stored.parquet"), cropping=False)
    assert "it holds photographs, not paths" in refused.reason


def test_numbers_of_classes_get_the_names_that_hugging_face_keeps_beside_them(tmp_path: Path) -> None:
    features = {"label": {"names": ["zebra", "ape"], "_type": "ClassLabel"}}
    schema = pa.schema([("path", pa.string()), ("label", pa.int64())])
    schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    table = pa.table({"path": ["a.jpg", "b.jpg", "c.jpg"], "label": [1, 0, 1]}, schema=schema)
    parquet.write_table(table, tmp_path / "labels.parquet")
    assert found(recognise_layout(tmp_path)) == {"a.jpg": "ape", "b.jpg": "zebra", "c.jpg": "ape"}


@pytest.mark.parametrize("structured", [True, False])
def test_photographs_in_parquet_are_unpacked_once(tmp_path: Path, structured: bool) -> None:
    labels = photographs(tmp_path / "source")
    data = {file: (tmp_path / "source" / file).read_bytes() for file in labels}
    images = [{"bytes": data[file], "path": file} if structured else data[file] for file in labels]
    root = tmp_path / "set"
    root.mkdir()
    for part, rows in (("train", slice(0, 14)), ("test", slice(14, 20))):
        table = pa.table({"image": images[rows], "label": list(labels.values())[rows]})
        parquet.write_table(table, root / f"{part}-00000-of-00001.parquet")
    module = ImageFolderDataModule(root=str(root), val_fraction=0.3)
    module.prepare_data()
    seen = {}
    for split in ("train", "val", "test"):
        samples = module.samples(split)
        assert samples.labels is not None
        for file, label in zip(samples.files.tolist(), samples.labels.tolist(), strict=True):
            seen[Path(file).read_bytes()] = module.class_names[label]
    assert seen == {data[file]: label for file, label in labels.items()}
    written = {path: path.stat().st_mtime_ns for path in root.rglob("*.jpg")}
    assert len(written) == 20
    ImageFolderDataModule(root=str(root)).prepare_data()
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.jpg")} == written
    assert not [path for path in root.iterdir() if path.name.startswith(".")]


def test_photographs_in_parquet_are_those_of_the_present_content(tmp_path: Path) -> None:
    """Rows in another order have the same footer, of which the folder is named, where nothing is compressed."""
    labels = photographs(tmp_path / "source")
    data = [(tmp_path / "source" / file).read_bytes().ljust(2000, b"\0") for file in labels]
    table = tmp_path / "cars.parquet"

    def folder_of(order: list[int], time: int) -> str:
        columns = {"image": [data[number] for number in order], "label": ["ab"[number % 2] for number in order]}
        columns["split"] = ["train", "test"] * (len(order) // 2)
        parquet.write_table(pa.table(columns), table, compression="none", use_dictionary=False, write_statistics=False)
        os.utime(table, (time, time))
        module = ImageFolderDataModule(root=str(table))
        module.prepare_data()
        samples = module.layout.read("train")
        assert [Path(file).read_bytes() for file in samples.files] == [data[number] for number in order[::2]]
        return Path(samples.files[0]).parent.name

    order = list(range(20))
    first = folder_of(order, 1)
    assert folder_of([*order[::2], *order[1::2]][::-1], 2) != first
    assert folder_of(order, 3) == first  # written again
    assert folder_of(order, 3) == first


def test_text_that_parquet_has_as_bytes_is_text(tmp_path: Path) -> None:
    labels = photographs(tmp_path)
    columns = {"path": [file.encode() for file in labels], "label": [label.encode() for label in labels.values()]}
    parquet.write_table(pa.table(columns), tmp_path / "cars.parquet")
    module = ImageFolderDataModule(root=str(tmp_path / "cars.parquet"))
    assert module.class_names == sorted({*labels.values()})
    assert {Path(file).name for file in module.read("all").files} == {Path(file).name for file in labels}
    assert not [path for path in tmp_path.iterdir() if "images-" in path.name]


def test_long_names_of_photographs_in_parquet_are_cut_to_what_a_disk_takes(tmp_path: Path) -> None:
    labels = photographs(tmp_path / "source")
    images = [
        {"bytes": (tmp_path / "source" / file).read_bytes(), "path": f"{'写真' * 45}{number}.jpg"}
        for number, file in enumerate(labels)
    ]
    parquet.write_table(pa.table({"image": images, "label": [*labels.values()]}), tmp_path / "train.parquet")
    data = ImageFolderDataModule(root=str(tmp_path / "train.parquet"), val_fraction=0.3, test_fraction=0.2)
    data.prepare_data()
    files = [Path(file) for split in ("train", "val", "test") for file in data.samples(split).files]
    assert len({*files}) == 20
    assert all(file.is_file() and file.name.endswith(".jpg") for file in files)
