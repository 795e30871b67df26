"""Which rows are for training, validation and test: by the names of tables and folders, groups and missing labels."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from pyarrow import parquet

from datamodules import ImageFolderDataModule
from datamodules.layouts import Part, recognise_layout
from datamodules.layouts.part_names import part_of
from tests.support.label_tables import Labels, as_text, found, photographs
from train import main


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


def test_a_group_has_one_number_however_tables_write_it(tmp_path: Path) -> None:
    labels = photographs(tmp_path)
    for part, spelling in (("train", "{}.0"), ("val", "{}")):
        rows = [f"{file},{label},{spelling.format(number % 5)}" for number, (file, label) in enumerate(labels.items())]
        (tmp_path / f"{part}.csv").write_text("\n".join(["path,label,group", *rows]))
    train, val = (recognise_layout(tmp_path).read(part) for part in ("train", "val"))
    assert train.groups is not None
    assert val.groups is not None
    assert train.groups.tolist() == val.groups.tolist()
