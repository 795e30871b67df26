"""Rows without a label are left out of scores and refused in a training, and no label is taken for none."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from datamodules import ImageFolderDataModule
from tests.support.partly_known_classes import OWN, agree, expected, first, own, train
from tests.support.partly_known_classes import evaluate as evaluate
from tests.support.partly_known_classes import pictures as pictures
from tests.support.partly_known_classes import trained as trained
from train import main

pytestmark = pytest.mark.slow


def table(path: Path, rows: Sequence[tuple[Path, str, str]]) -> Path:
    path.write_text("path,label,split\n" + "".join(f"{file},{label},{split}\n" for file, label, split in rows))
    return path


def test_rows_without_a_label_are_left_out_and_counted(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    some = {name: files[:3] for name, files in first(pictures, 1, 2).items()}
    rows = [(file, "" if file in some[name] else name, "test") for name in some for file in pictures[name]]
    rest = {name: pictures[name][3:] for name in some}
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
        scores = evaluate(table(tmp_path / "cars.csv", rows))
    agree(scores, expected(trained, rest))
    assert "6 of 10 test images have no label and are left out of the scores" in caplog.text
    with pytest.raises(SystemExit, match="None of the 10 test images has a label") as stop:
        evaluate(table(tmp_path / "cars.csv", [(file, "", split) for file, _, split in rows]))
    assert "\n" not in str(stop.value.code)


def test_training_needs_labels_and_two_classes_but_no_labelled_test(
    arguments: list[str], pictures: dict[str, list[Path]], tmp_path: Path
) -> None:
    rows = [(file, name, "train") for name in first(pictures, 0, 1) for file in pictures[name]]
    rows += [(file, name, "val") for name in first(pictures, 0, 1) for file in pictures[name]]
    unlabelled = [(file, "", "test") for file in pictures[next(iter(pictures))]]
    root = table(tmp_path / "cars.csv", [*rows, *unlabelled])
    small = "--data.batch_size=4"
    train(own(arguments, root), small)
    options = [OWN, f"--data.root={root}", small]
    table(root, [*rows, (rows[0][0], "", "train")])
    with pytest.raises(SystemExit, match="cars.csv has no label for "):
        main(["fit", *own(arguments, root), *options])
    table(root, [row for row in rows if row[1] == next(iter(pictures))])
    with pytest.raises(SystemExit, match="but it takes two to tell apart"):
        main(["fit", *own(arguments, root), *options])


def test_unlabelled_numbers_stay_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"path": ["a", "b", "c"], "label": pa.array([7, None, 12]), "split": ["train", "test", "train"]}
    parquet.write_table(pa.table(columns), tmp_path / "cars.parquet")
    data = ImageFolderDataModule(root=str(tmp_path / "cars.parquet"))
    assert data.class_names == ["12", "7"]
    assert data.read("test").labels == [-1]


def test_classes_may_be_called_as_other_programs_call_nothing(tmp_path: Path) -> None:
    (tmp_path / "cars.csv").write_text("path,label,split\na,NA,test\nb,null,test\nc,,test\nd,x,test\n")
    data = ImageFolderDataModule(root=str(tmp_path / "cars.csv"))
    labels = data.read("test").labels
    assert labels is not None
    assert [*data.class_names, ""][labels[2]] == ""
    assert [data.class_names[label] for label in labels[[0, 1, 3]]] == ["NA", "null", "x"]
