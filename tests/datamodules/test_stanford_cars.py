from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from scipy.io import savemat
from torchvision.datasets import StanfordCars

from datamodules import StanfordCarsDataModule, ToyCarsDataModule
from datamodules.image_dataset import ImageDataset
from datamodules.layouts import CAR_NAMES
from datamodules.layouts.annotation_files import (
    META,
    read_annotations,
    read_class_names,
    write_class_names,
    write_samples,
)
from datamodules.layouts.recognise import recognise_layout
from datamodules.samples import Samples


def compare_with_torchvision(root: Path, tmp_path: Path, step: int) -> None:
    (tmp_path / "stanford_cars").symlink_to(root.absolute())
    names = read_class_names(root / META)
    for part in ("train", "test"):
        theirs = StanfordCars(tmp_path, split=part)
        ours = recognise_layout(root).read(part)
        assert names == theirs.classes
        assert ours.labels is not None
        listed = [(Path(file).name, label) for file, label in theirs._samples]
        assert [(Path(file).name, label) for file, label in zip(ours.files, ours.labels, strict=True)] == listed
        for index in range(0, len(ours), step):
            image, _ = theirs[index]
            dataset = ImageDataset(ours, None)
            np.testing.assert_array_equal(dataset.read(index), np.asarray(image))


def test_equals_torchvision_on_drawn_cars(toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path) -> None:
    compare_with_torchvision(toy_data().folder, tmp_path, step=1)


def test_equals_torchvision_on_photographs(stanford_cars_root: Path, tmp_path: Path) -> None:
    compare_with_torchvision(stanford_cars_root, tmp_path, step=7)


def test_official_annotations_have_the_official_counts(tmp_path: Path, official_copy: Callable[..., Path]) -> None:
    data = StanfordCarsDataModule(root=str(official_copy(tmp_path / "official")), val_fraction=0.1)
    assert read_class_names(tmp_path / "official" / META) == CAR_NAMES
    assert len(data.class_names) == 196
    assert data.class_names[173] == "Ram C/V Cargo Van Minivan 2012"
    train, val, test = (data.samples(split) for split in ("train", "val", "test"))
    assert (len(train) + len(val), len(test)) == (8144, 8041)
    for samples in (train, val, test):
        assert samples.labels is not None
        assert samples.boxes is not None
        assert set(samples.labels) == set(range(196))
        widths, heights = (samples.boxes[:, 2:] - samples.boxes[:, :2]).T
        assert min(widths.min(), heights.min()) > 10


def test_validation_split_is_stratified_seeded_and_apart(stanford_cars_root: Path) -> None:
    data = StanfordCarsDataModule(root=str(stanford_cars_root), val_fraction=0.2)
    train, val = data.samples("train"), data.samples("val")
    everything = recognise_layout(stanford_cars_root).read("train")
    assert train.labels is not None
    assert val.labels is not None
    assert everything.labels is not None
    assert not set(train.files) & set(val.files)
    assert set(train.files) | set(val.files) == set(everything.files)
    share = np.bincount(val.labels, minlength=196) / np.bincount(everything.labels, minlength=196)
    assert share.min() > 0.1
    assert share.max() < 0.3
    again = StanfordCarsDataModule(root=str(stanford_cars_root), val_fraction=0.2)
    other = StanfordCarsDataModule(root=str(stanford_cars_root), val_fraction=0.2, split_seed=1)
    np.testing.assert_array_equal(again.samples("val").files, val.files)
    assert set(other.samples("val").files) != set(val.files)


def test_testing_needs_the_test_part_only(toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path) -> None:
    source = toy_data().folder
    (tmp_path / "devkit").mkdir()
    for name in ("devkit/cars_meta.mat", "cars_test", "cars_test_annos_withlabels.mat"):
        (tmp_path / name).symlink_to(source / name)
    data = StanfordCarsDataModule(root=str(tmp_path), image_size=64, num_workers=0)
    data.setup("test")
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 8 * 5
    with pytest.raises(MisconfigurationException, match=r"cars_train_annos\.mat"):
        data.setup("fit")


def test_all_splits_are_cropped_alike(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    data = toy_data(crop_to_box=True, box_margin=0.1)
    data.setup("fit")
    data.setup("test")
    for split in ("train", "val", "test"):
        dataset = data.datasets[split]
        assert dataset.samples.boxes is not None
        x1, y1, x2, y2 = dataset.samples.boxes[0]
        height, width = dataset.read(0).shape[:2]
        whole = ImageDataset(dataset.samples, dataset.transform).read(0)
        left, right = max(0, x1 - round(0.1 * (x2 - x1))), min(whole.shape[1], x2 + round(0.1 * (x2 - x1)))
        top, bottom = max(0, y1 - round(0.1 * (y2 - y1))), min(whole.shape[0], y2 + round(0.1 * (y2 - y1)))
        assert (height, width) == (bottom - top, right - left)
        np.testing.assert_array_equal(dataset.read(0), whole[top:bottom, left:right])


def test_annotations_survive_writing_and_reading(tmp_path: Path) -> None:
    (tmp_path / "devkit").mkdir()
    (tmp_path / "cars_train").mkdir()
    names = ["Ram C/V Cargo Van Minivan 2012", "smart fortwo Convertible 2012"]
    written = Samples(np.array(["00001.jpg", "00002.jpg"]), np.array([1, 0]), np.array([[0, 3, 300, 70], [5, 6, 7, 8]]))
    write_class_names(tmp_path, names)
    write_samples(tmp_path, "train", written)
    read = recognise_layout(tmp_path).read("train")
    assert read_class_names(tmp_path / META) == names
    np.testing.assert_array_equal(read.labels, written.labels)
    np.testing.assert_array_equal(read.boxes, written.boxes)
    assert [Path(file).name for file in read.files] == ["00001.jpg", "00002.jpg"]
    with pytest.raises(MisconfigurationException, match="class numbers from 1 to 2"):
        read_annotations(tmp_path / "devkit/cars_train_annos.mat", tmp_path, 1)


@pytest.mark.parametrize(("value", "shown"), [([], "nothing"), ("one", "'one'"), (np.nan, "nan"), (1.7, "1.7")])
def test_annotations_that_are_no_whole_numbers_are_named(tmp_path: Path, value: Any, shown: str) -> None:
    rows = np.empty(2, dtype=[("class", object), ("fname", object)])
    rows[0], rows[1] = (1, "1.jpg"), (np.asarray(value), "2.jpg")
    savemat(tmp_path / "annos.mat", {"annotations": rows})
    with pytest.raises(MisconfigurationException, match=rf"annos\.mat has {shown} for class in row 2"):
        read_annotations(tmp_path / "annos.mat", tmp_path, 2)


def test_damaged_annotations_are_named(tmp_path: Path) -> None:
    (tmp_path / "devkit").mkdir()
    (tmp_path / "devkit/cars_meta.mat").write_bytes(b"no MATLAB file")
    with pytest.raises(MisconfigurationException, match=r"cars_meta\.mat"):
        _ = StanfordCarsDataModule(root=str(tmp_path)).class_names


def test_torchvisions_root_is_accepted(toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path) -> None:
    (tmp_path / "stanford_cars").symlink_to(toy_data().folder)
    assert len(StanfordCarsDataModule(root=str(tmp_path)).class_names) == 8
