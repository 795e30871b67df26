"""Classes that only validation or test images have, which the network would have an output for."""

import warnings
from pathlib import Path

import pytest

from datamodules import ImageFolderDataModule
from datamodules.samples import NO_LABEL
from tests.support.photos import picture


def write(root: Path, name: str, rows: list[str]) -> None:
    (root / name).write_text("path,label\n" + "\n".join(rows) + "\n")
    for row in rows:
        picture(root / row.partition(",")[0])


def test_numbers_that_became_fractions_by_an_empty_cell_are_the_same_classes(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", [f"{number}.jpg,{number % 3}" for number in range(9)])
    write(tmp_path, "test.csv", ["10.jpg,0.0", "11.jpg,", "12.jpg,2.0", "13.jpg,1.0"])
    data = ImageFolderDataModule(str(tmp_path), image_size=32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.prepare_data()
    assert data.class_names == ["0", "1", "2"]
    labels = data.samples("test").labels
    assert labels is not None
    assert labels.tolist() == [0, NO_LABEL, 2, 1]
    assert "test.csv: labels such as 0.0 are read as 0, as elsewhere." in data.layout.notes


@pytest.mark.parametrize("labels", [["1.0", "2.0"], ["1.0", "1.5"], ["3.0", "4.0", "x"]])
def test_names_that_look_like_numbers_stay_where_all_tables_have_them(tmp_path: Path, labels: list[str]) -> None:
    for part in ("train", "test"):
        write(tmp_path, f"{part}.csv", [f"{part}{number}.jpg,{label}" for number, label in enumerate(labels * 3)])
    assert ImageFolderDataModule(str(tmp_path), image_size=32).class_names == labels


def test_a_class_without_a_training_image_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", [f"{number}.jpg,{'ab'[number % 2]}" for number in range(12)])
    write(tmp_path, "val.csv", ["20.jpg,a", "21.jpg,b", "22.jpg,only val"])
    write(tmp_path, "test.csv", ["30.jpg,a", "31.jpg,B", "32.jpg,B"])
    data = ImageFolderDataModule(str(tmp_path), image_size=32)
    with pytest.warns(UserWarning, match=r"is of the classes 'B' \(2 in test\) and 'only val' \(1 in val\): mend"):
        data.prepare_data()
    folds = ImageFolderDataModule(str(tmp_path), image_size=32, folds=2)
    with pytest.warns(UserWarning, match=r"image is of the class 'B' \(2 in test\): mend"):
        folds.prepare_data()
    evaluated = ImageFolderDataModule(str(tmp_path), image_size=32)
    evaluated.relabel(["a", "b"].index)  # unknown_classes says what then counts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluated.prepare_data()
    labels = data.samples("train").labels
    assert labels is not None
    assert {*labels.tolist()} == {1, 2}
