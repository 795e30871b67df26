"""Tables as people's programs write them: every kind is read as the plain one is, or refused by name."""

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image
from pyarrow import parquet

from datamodules import ImageFolderDataModule
from datamodules.layouts import recognise_layout, write_split
from datamodules.layouts.class_name import class_name
from datamodules.samples import Samples
from tests.support.label_tables import as_text, found, photographs
from tests.support.photos import class_folders, picture


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize(("sep", "end"), [(",", "\n"), (";", "\r\n"), ("\t", "\n"), ("|", "\r\n")])
def test_separators_and_encodings_are_found_out(tmp_path: Path, encoding: str, sep: str, end: str) -> None:
    labels = photographs(tmp_path)
    (tmp_path / "labels.csv").write_bytes(as_text(labels, sep, end=end).encode(encoding))
    layout = recognise_layout(tmp_path)
    assert found(layout) == labels
    assert layout.class_names == ["Audi A4", "Citroën C3", "VW Käfer"]
    assert bool(layout.notes) == ((encoding, sep) != ("utf-8", ","))


@pytest.mark.parametrize("path", ["path", "file", "Filename", "image", "FILE_NAME", "image path", " img ", "filepath"])
@pytest.mark.parametrize("label", ["label", "Class", "target", "class_name", " category"])
def test_usual_names_of_columns_are_understood(tmp_path: Path, path: str, label: str) -> None:
    labels = photographs(tmp_path)
    (tmp_path / "labels.csv").write_text(as_text(labels, header=(path, label)), encoding="utf-8")
    assert found(recognise_layout(tmp_path)) == labels


def test_what_spreadsheets_and_windows_leave_behind_is_understood(tmp_path: Path) -> None:
    labels = photographs(tmp_path)
    rows = [[file.replace("/", "\\"), f" {label} ", "", ""] for file, label in labels.items()]
    text = "sep=;\r\nImage;Class;;\r\n" + "".join(f"{';'.join(row)}\r\n" for row in rows) + ";;;\r\n"
    (tmp_path / "Labels.CSV").write_text(text, encoding="utf-8-sig")
    layout = recognise_layout(tmp_path)
    assert found(layout) == labels
    assert any("blanks around 20 labels are dropped" in note for note in layout.notes)


def test_boxes_with_commas_for_points(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    text = "path;label;x1;y1;x2;y2\na.jpg;x;1,4;2;20,6;19\nb.jpg;y;0;0;9;9\n"
    (tmp_path / "cars.csv").write_text(text)
    boxes = recognise_layout(tmp_path).read("all").boxes
    assert boxes is not None
    assert boxes.tolist() == [[1, 2, 21, 19], [0, 0, 9, 9]]


def test_json_lines_and_parquet(tmp_path: Path) -> None:
    labels = photographs(tmp_path)
    lines = [json.dumps({"file_name": file, "label": label, "more": [1]}) for file, label in labels.items()]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    assert found(recognise_layout(tmp_path)) == labels
    (tmp_path / "labels.jsonl").unlink()
    column = pa.array(list(labels.values())).dictionary_encode()
    parquet.write_table(pa.table({"image": list(labels), "target": column}), tmp_path / "labels.parquet")
    assert found(recognise_layout(tmp_path)) == labels


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"labels.csv": "bild;klasse\na;b\n"},
            r"lacks path\. Read as separated by commas, UTF-8, it has 'bild;kl",
        ),
        (
            {"labels.csv": "path;klasse\na;b\n"},
            r"lacks label\. Read as separated by semicolons, UTF-8, it has 'path'",
        ),
        ({"labels.csv": "path,label,Label\na,b,c\n"}, "the column 'label' twice, as 'label' and 'Label'"),
        ({"labels.csv": "path,label,path\na,b,c\n"}, "the column 'path' twice"),
        ({"labels.xlsx": "PK"}, "labels.xlsx is a spreadsheet, which can't be read: save it as CSV"),
        ({"labels.csv": "\0\1\2\x81"}, "labels.csv can't be used"),
        ({"labels.csv": ""}, "it has nothing"),
        (
            {"a.csv": "path,label\na,b\n", "b.csv": "path,label\na,b\n"},
            "has several tables, a.csv and b.csv: give one of",
        ),
        (
            {"val.csv": "path,label\na,b\n", "dev.csv": "path,label\na,b\n"},
            "dev.csv and val.csv, which all mean the val",
        ),
        ({"labels.jsonl": "{}\n[1]\n"}, "line 2 is no JSON object"),
        ({"labels.csv": "path,label\na.jpg,x\nb.jpg\n"}, "line 3 has 1 cell, but there are 2 columns"),
    ],
)
def test_a_table_that_can_not_be_used_is_an_error_before_folders_are_looked_at(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    class_folders(tmp_path, ["camera1", "camera2"], 5)
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(MisconfigurationException, match=message):
        recognise_layout(tmp_path)


def test_lists_for_labels_are_refused_by_name(tmp_path: Path, mistake: Callable[..., str]) -> None:
    parquet.write_table(pa.table({"path": ["a"], "label": [["x"]]}), tmp_path / "labels.parquet")
    message = mistake("fit", "--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path}")
    assert "The column 'label' of" in message
    assert "one label in each row is expected" in message


def test_names_that_mean_nothing_elsewhere_are_classes_here(tmp_path: Path) -> None:
    names = ["NA", "null", "nan", "None", "N/A", "true", "1e5", "007"]
    class_folders(tmp_path, [name.replace("/", "-") for name in names], 6)
    for _ in range(2):  # the second time by split.csv
        data = ImageFolderDataModule(root=str(tmp_path), val_fraction=0.4)
        data.prepare_data()
        assert data.class_names == sorted(name.replace("/", "-") for name in names)
        assert len(data.samples("train")) > 20


def test_spellings_of_a_class_are_one(tmp_path: Path) -> None:
    names = ["Citroën C3", unicodedata.normalize("NFD", "Citroën C3"), "Audi A4", "Audi A4 "]
    labels = {file: names[number % 4] for number, file in enumerate(photographs(tmp_path))}
    (tmp_path / "labels.csv").write_text(as_text(labels), encoding="utf-8")
    layout = recognise_layout(tmp_path)
    assert layout.class_names == ["Audi A4", "Citroën C3"]
    assert sum("spellings of" in note for note in layout.notes) == 2


def test_a_table_of_another_system_finds_its_files(tmp_path: Path) -> None:
    stored = unicodedata.normalize("NFD", "images/Citroën/é.jpg")
    picture(tmp_path / stored)
    picture(tmp_path / " blank .jpg", seed=1)
    for name in (unicodedata.normalize("NFC", stored), "./images/../" + stored, f" {stored}", " blank .jpg"):
        (tmp_path / "labels.csv").write_text(as_text({name: "a", "b.jpg": "b"}), encoding="utf-8")
        file = recognise_layout(tmp_path).read("all").files[0]
        assert Image.open(file).size == (40, 30)


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=2, max_size=8))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    names = sorted({name for text in texts if (name := class_name(text))})
    files = [f"{number} {text}" for number, text in enumerate(texts) if "/" not in text and "\0" not in text]
    folder = tmp_path_factory.mktemp("written")
    for file in files:
        (folder / file).write_bytes(b"")
    if not names or not files:
        return
    labels = np.arange(len(files)) % len(names)
    samples = Samples(np.array([f"{folder}/{file}" for file in files]), labels)
    write_split(folder / "split.csv", folder, {"train": samples}, names)
    layout = recognise_layout(folder / "split.csv")
    read = layout.read("train")
    assert read.files.tolist() == samples.files.tolist()
    assert read.labels is not None
    assert [layout.class_names[label] for label in read.labels] == [names[label] for label in labels]


def test_excel_says_that_tabs_separate(tmp_path: Path) -> None:
    labels = photographs(tmp_path)
    (tmp_path / "labels.tsv").write_bytes(b"sep=\t\r\n" + as_text(labels, "\t", end="\r\n").encode())
    assert found(recognise_layout(tmp_path / "labels.tsv")) == labels


@pytest.mark.parametrize("there", [True, False])
def test_one_name_that_is_not_utf_8_spoils_no_other(tmp_path: Path, there: bool) -> None:
    names = [b"caf\xe9.png", *(f"Škoda{number}.png".encode() for number in range(6))]
    for name in names[not there :]:
        picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)))
    rows = [name + (b",a" if number % 2 else b",b") for number, name in enumerate(names)]
    (tmp_path / "split.csv").write_bytes(b"\n".join([b"path,label", *rows]))
    listed = recognise_layout(tmp_path / "split.csv").read("all").files.tolist()
    assert {Path(file).name for file in listed} >= {f"Škoda{number}.png" for number in range(6)}
