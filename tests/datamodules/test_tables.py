"""Tables as people's programs write them: every kind is read as the plain one is, or refused by name."""

import csv
import io
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
from datamodules.layouts import Layout, Part, recognise_layout, write_split
from datamodules.layouts.class_name import class_name
from datamodules.layouts.part_names import part_of
from datamodules.photographs.photograph_search import list_photographs
from datamodules.samples import Samples
from tests.support.photos import class_folders, picture
from train import main

Labels = dict[str, str]


def photographs(root: Path) -> Labels:
    """Write photographs in folders that aren't classes; their labels stand in a table alone."""
    class_folders(root / "images", ["camera1", "camera 2"], 10)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.jpg"))
    return {file: ("Citroën C3", "Audi A4", "VW Käfer")[number % 3] for number, file in enumerate(files)}


def found(layout: Layout) -> Labels:
    answer = {}
    for part in layout.parts:
        samples = layout.read(part)
        assert samples.labels is not None
        for file, label in zip(samples.files.tolist(), samples.labels.tolist(), strict=True):
            answer[file.removeprefix(f"{layout.base}/")] = layout.class_names[label] if label >= 0 else ""
    return answer


def as_text(labels: Labels, sep: str = ",", header: tuple[str, str] = ("path", "label"), end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sep, lineterminator=end)
    writer.writerows([header, *labels.items()])
    return text.getvalue()


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


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "val.csv", "test.csv"),
        ("Train.CSV", "dev.tsv", "eval.jsonl"),
        ("train_labels.csv", "validation-set.csv", "test_labels.csv"),
        ("train-00000-of-00001.parquet", "valid.csv", "test.parquet"),
    ],
)
def test_a_table_for_each_part(tmp_path: Path, names: tuple[str, str, str]) -> None:
    labels = photographs(tmp_path)
    expected: dict[Part, Labels] = {}
    parts: list[Part] = ["train", "val", "test"]
    for number, (part, name) in enumerate(zip(parts, names, strict=True)):
        rows = dict(list(labels.items())[number * 6 : number * 6 + 6])
        expected[part] = rows
        if name.endswith(".parquet"):
            parquet.write_table(pa.table({"path": list(rows), "label": list(rows.values())}), tmp_path / name)
        elif name.endswith(".jsonl"):
            lines = [json.dumps({"path": file, "label": label}) for file, label in rows.items()]
            (tmp_path / name).write_text("\n".join(lines))
        else:
            text = as_text(rows, "\t" if name.endswith(".tsv") else ",")
            (tmp_path / name).write_text(text, encoding="utf-8")
    layout = recognise_layout(tmp_path)
    for part in parts:
        samples = layout.read(part)
        assert samples.labels is not None
        pairs = zip(samples.files.tolist(), samples.labels.tolist(), strict=True)
        assert {file.removeprefix(f"{tmp_path}/"): layout.class_names[label] for file, label in pairs} == expected[part]


def test_metadata_beside_the_pictures_of_each_part(tmp_path: Path) -> None:
    for part in ("train", "test"):
        labels = photographs(tmp_path / part)
        (tmp_path / part / "metadata.csv").write_text(as_text(labels, header=("file_name", "label")), encoding="utf-8")
    layout = recognise_layout(tmp_path)
    assert [*layout.parts] == ["train", "test"]
    assert found(layout) == {f"{part}/{file}": label for part in ("train", "test") for file, label in labels.items()}


def test_folders_in_the_paths_are_the_parts_where_they_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label\ntrain/1.jpg,a\ntrain/2.jpg,b\ntest/1.jpg,a\n")
    layout = recognise_layout(tmp_path)
    assert {part: len(layout.read(part)) for part in layout.parts} == {"train": 2, "test": 1}
    assert "the folders test, train are the parts" in layout.notes[-1]


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


def test_rows_of_a_group_stay_in_one_part(tmp_path: Path) -> None:
    labels = photographs(tmp_path)
    rows = [f"{file},{label},car{number // 3}" for number, (file, label) in enumerate(labels.items())]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,group", *rows]), encoding="utf-8")
    data = ImageFolderDataModule(root=str(tmp_path), test_fraction=0.3, val_fraction=0.3)
    data.prepare_data()
    group = {f"{tmp_path}/{file}": number // 3 for number, file in enumerate(labels)}
    parts = [{group[str(file)] for file in data.samples(split).files} for split in ("train", "val", "test")]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]


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


def test_fit_takes_test_rows_without_labels_and_test_says_so(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], mistake: Callable[..., str]
) -> None:
    rows = [f"{file},{label},train" for file, label in photographs(tmp_path).items()]
    unlabelled = [f"{row.split(',')[0]},,test" for row in rows[:4]]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *rows[4:], *unlabelled]), encoding="utf-8")
    data = ["--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path}"]
    main(["check", *data, f"--output={tmp_path / 'out'}"])
    assert "No image of the test split has a label" in capsys.readouterr().out
    module = ImageFolderDataModule(root=str(tmp_path), val_fraction=0.25)
    module.prepare_data()
    module.setup("fit")
    with pytest.raises(MisconfigurationException, match="None of the 4 test images has a label"):
        module.setup("test")
    module.predict_dir = str(tmp_path / "labels.csv")
    module.setup("predict")
    assert len(module.photographs or []) == 20


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


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, "train") for name in ("train", "Training", "TRAIN", "training_set", "train-images", "trainset")),
        *((name, "val") for name in ("val", "valid", "Validation", "dev", "val2017", "validation_data")),
        *((name, "test") for name in ("test", "Testing", "eval", "test_set", "evaluation", "test-00000-of-00002")),
        *((name, None) for name in ("trains", "protest", "cat", "train test", "Train 2", "set", "", "trainer")),
    ],
)
def test_names_of_parts(name: str, part: str | None) -> None:
    assert part_of(name) == part
