import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from datamodules import ImageFolderDataModule, StanfordCarsDataModule
from datamodules.layouts import CAR_NAMES, recognise_layout
from datamodules.samples import Samples
from tests.support import layouts
from tests.support.layouts import CLASSES, DIVIDED, Car, cars, save

ALIKE = [build for build in DIVIDED if build is not layouts.devkit]


def found(samples: Samples) -> dict[bytes, int]:
    """Labels by picture: what the layouts must agree on, whatever they call their files."""
    assert samples.labels is not None
    pictures = [Image.open(file).tobytes() for file in samples.files]
    assert len(set(pictures)) == len(pictures)
    return dict(zip(pictures, samples.labels.tolist(), strict=True))


def drawn(*parts: str) -> dict[bytes, int]:
    return {car.pixels: car.label for car in cars() if car.part in parts}


@pytest.mark.parametrize("build", DIVIDED, ids=lambda build: build.__name__)
def test_every_layout_is_recognised_and_mapped_by_name(build: Callable[[Path], Path], tmp_path: Path) -> None:
    data = StanfordCarsDataModule(root=str(build(tmp_path)), val_fraction=0.2)
    data.prepare_data()
    assert data.class_names == CAR_NAMES
    train, val = found(data.samples("train")), found(data.samples("val"))
    assert not set(train) & set(val)
    assert train | val == drawn("train")
    assert found(data.samples("test")) == drawn("test")


@pytest.mark.parametrize(
    "build", [layouts.devkit, layouts.kaggle, layouts.car_ims, layouts.table], ids=lambda build: build.__name__
)
def test_boxes_come_along(build: Callable[[Path], Path], tmp_path: Path) -> None:
    data = StanfordCarsDataModule(root=str(build(tmp_path)), crop_to_box=True, val_fraction=0.2)
    samples, expected = data.samples("test"), {car.pixels: car.box for car in cars()}
    assert samples.boxes is not None
    for file, box in zip(samples.files, samples.boxes, strict=True):
        assert tuple(box) == expected[Image.open(file).tobytes()]


def test_crops_need_boxes(tmp_path: Path) -> None:
    data = StanfordCarsDataModule(root=str(layouts.class_folders(tmp_path)), crop_to_box=True)
    with pytest.raises(MisconfigurationException, match=r"crop_to_box needs boxes, but .* \(class folders\) has none"):
        data.samples("test")


def test_other_classes_are_refused_by_name(tmp_path: Path) -> None:
    save(cars()[0], layouts.class_folders(tmp_path) / "train/Zeppelin/1.jpg")
    with pytest.raises(MisconfigurationException, match="'Zeppelin', which is none of Stanford Cars' 196"):
        _ = StanfordCarsDataModule(root=str(tmp_path)).class_names
    assert len(ImageFolderDataModule(root=str(tmp_path)).class_names) == len(CLASSES) + 1


def test_a_class_under_two_spellings_is_refused(tmp_path: Path) -> None:
    save(cars()[0], layouts.class_folders(tmp_path) / "train/ACURA RL sedan 2012/1.jpg")
    with pytest.raises(MisconfigurationException, match="twice, under two spellings"):
        _ = StanfordCarsDataModule(root=str(tmp_path)).class_names


def test_a_test_part_without_labels_is_named(tmp_path: Path) -> None:
    layouts.devkit(tmp_path)
    (tmp_path / "cars_test_annos_withlabels.mat").rename(tmp_path / "devkit/cars_test_annos.mat")
    with pytest.raises(MisconfigurationException, match=r"\(cars_test_annos.mat has no labels\)"):
        StanfordCarsDataModule(root=str(tmp_path)).samples("test")


def test_what_does_not_fit_is_described(tmp_path: Path, mistake: Callable[..., str]) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "notes.txt").write_text("")
    message = mistake("fit", "--data=datamodules.StanfordCarsDataModule", f"--data.root={tmp_path}")
    for part in ("Looked for: cars_train/", "train/CLASS/", "Found: holiday/, notes.txt."):
        assert part in message
    with pytest.raises(MisconfigurationException, match="an empty folder"):
        _ = ImageFolderDataModule(root=str(tmp_path / "holiday")).class_names


def test_class_folders_without_a_split_are_divided_once(tmp_path: Path) -> None:
    for number, car in enumerate(cars()):
        save(car, tmp_path / CAR_NAMES[car.label].replace("/", "-") / f"{number}.png")
    data = ImageFolderDataModule(root=str(tmp_path), test_fraction=0.25, val_fraction=0.2)
    data.prepare_data()
    train, val, test = (found(data.samples(split)) for split in ("train", "val", "test"))
    assert len(test) == round(0.25 * len(cars()))
    assert len(train) + len(val) + len(test) == len(train | val | test) == len(cars())
    assert set(test.values()) == set(val.values()) == set(range(len(CLASSES)))

    with (tmp_path / "split.csv").open() as file:
        assert [row["split"] for row in csv.DictReader(file)].count("test") == len(test)
    for number in range(20):  # later photographs must not move others between training and test
        save(Car("", 0, (0, 0, 1, 1), bytes([number]) * 1800), tmp_path / CAR_NAMES[CLASSES[0]] / f"new{number}.png")
    again = ImageFolderDataModule(root=str(tmp_path), test_fraction=0.5, split_seed=3)
    with pytest.warns(UserWarning, match=r"20 photographs in .* are not in split\.csv"):
        again.prepare_data()
    assert found(again.samples("test")) == test
    assert again.class_names == data.class_names


def test_a_recorded_test_set_names_the_fraction_that_it_overrules(tmp_path: Path) -> None:
    for number, car in enumerate(cars()):
        save(car, tmp_path / str(car.label) / f"{number}.png")
    ImageFolderDataModule(root=str(tmp_path)).prepare_data()
    for fraction in (0.5, 1.0):
        with pytest.warns(UserWarning, match=rf"data.test_fraction={fraction:g} has no effect: .*split.csv keeps"):
            ImageFolderDataModule(root=str(tmp_path), test_fraction=fraction).prepare_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ImageFolderDataModule(root=str(tmp_path), test_fraction=0.21).prepare_data()


def test_a_record_divides_the_table_as_it_is_now(tmp_path: Path) -> None:
    path = layouts.table_file(tmp_path)
    _header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    plain = [[row[0], row[1], f"g{number // 2}"] for number, row in enumerate(rows)]

    def write(lines: list[list[str]]) -> None:
        path.write_text("".join(",".join(line) + "\n" for line in [["path", "label", "group"], *lines]))

    write(plain)
    data = ImageFolderDataModule(root=str(path), val_fraction=0.3)
    data.prepare_data()
    test, val = (set(data.samples(split).files.tolist()) for split in ("test", "val"))
    again = ImageFolderDataModule(root=str(path), val_fraction=0.3)
    assert set(again.samples("val").files.tolist()) == val  # by the same groups, which the record doesn't have
    renamed = [[name, f"My {label}", group] for name, label, group in plain]
    write(renamed[1:])  # other names, a row less
    edited = ImageFolderDataModule(root=str(path))
    edited.prepare_data()
    assert all(name.startswith("My ") for name in edited.class_names)
    gone = str(tmp_path / plain[0][0])
    assert set(edited.samples("test").files.tolist()) == test - {gone}
    listed = {name for split in ("train", "val", "test") for name in edited.samples(split).files.tolist()}
    assert listed == {str(tmp_path / row[0]) for row in plain[1:]}

    record = path.with_suffix(".split.csv")
    lines = record.read_text().splitlines()
    record.write_text("\n".join([lines[0], *lines[4:]]) + "\n")
    write(renamed)
    layout = recognise_layout(path)
    (note,) = [note for note in layout.notes if "which keeps the test set" in note]
    assert f"3 of its {len(plain)} rows are new and train, {len(plain) - 3} labels are other ones, which count" in note
    record.write_text(record.read_text().replace('"test"', '"exam"'))
    with pytest.raises(MisconfigurationException, match=r"split\.csv has the split 'exam' in line"):
        recognise_layout(path)


def test_a_record_knows_photographs_wherever_the_table_is_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = layouts.table_file(tmp_path)
    _, *rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("path,label,group\n" + "".join(f"{tmp_path / row[0]},{row[1]},{row[0]}\n" for row in rows))
    data = ImageFolderDataModule(root=str(path))
    data.prepare_data()
    test = sorted(Path(str(file)).name for file in data.samples("test").files)
    monkeypatch.chdir(tmp_path)
    again = ImageFolderDataModule(root="cars.csv")
    assert sorted(Path(str(file)).name for file in again.samples("test").files) == test
    with path.open("a") as file:
        file.write(f"{test[0]}.copy.png,{rows[0][1]},{Path(rows[0][0]).parent / test[0]}\n")
    named = recognise_layout(path).read("test").files.tolist()
    assert sum(f"{test[0]}.copy.png" in name for name in named) == 1  # of a group whose others test
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines() if not any(t in line for t in test)))
    with pytest.raises(
        MisconfigurationException, match="lists none of the test photographs that .*move cars.split.csv"
    ):
        recognise_layout(path)


def test_a_table_without_a_split_is_divided_once(tmp_path: Path) -> None:
    path = layouts.table_file(tmp_path)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("".join(",".join((row[0], row[1], *row[3:7])) + "\n" for row in lines))
    data = ImageFolderDataModule(root=str(path), val_fraction=0.2)
    data.prepare_data()
    assert (tmp_path / "cars.split.csv").is_file()
    for root in (path, tmp_path):
        again = ImageFolderDataModule(root=str(root), split_seed=1, crop_to_box=True)
        np.testing.assert_array_equal(again.samples("test").files, data.samples("test").files)
        np.testing.assert_array_equal(again.samples("test").boxes, data.samples("test").boxes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,label,split\na.jpg,x,tset\nb.jpg,y,test\n",
            "has the split 'tset' in line 2 (it has to be train, val or test).",
        ),
        (
            "path,label\na.jpg,\nb.jpg,y\n",
            "has no label in line 2 (only rows whose split is val or test may do without).",
        ),
        ("path,label,x1,y1,x2\na.jpg,x,1,2,3\nb.jpg,y,1,2,3\n", "no column y2"),
        ("path,label,x1,y1,x2,y2\na.jpg,x,1,2,3,4\nb.jpg,y,1,,3,4\n", "has an incomplete box in line 3."),
        ("path,label,x1,y1,x2,y2\na.jpg,x,1,2,3,4\nb.jpg,y,1,?,3,4\n", "a box that is no number in line 3"),
        ("path,label\n", "lists no photographs"),
        (
            'path,label\na.jpg,x\n\n,y\nb.jpg,\n,"a\nb"\nc.jpg,\n',
            "has no path in lines 4 and 6; no label in lines 5 and 8 (",
        ),
        (
            "path,label,split,x1,y1,x2,y2\n" + "".join(f"{n}.jpg,x,{n % 4},1,2,,4\n" for n in range(12)),
            "an incomplete box in lines 2, 3, 4, 5, 6 and 7 more; the split '0' in lines 2, 6 and 10 (it has to be "
            "train, val or test); the split '1' in lines 3, 7 and 11",
        ),
        ("path,label\na.jpg,x\n", "has only the class 'x', but it takes two to tell apart"),
        ("path,label\na.jpg,x\nb.jpg\nc.jpg\n", "line 3 has 1 cell, but there are 2 columns (nor have line 4)."),
        ("bild,klasse\na.jpg,x\n", "columns path and label"),
    ],
)
def test_bad_tables_are_described(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "cars.csv").write_text(text)
    with pytest.raises(MisconfigurationException, match="cars.csv") as caught:
        _ = ImageFolderDataModule(root=str(tmp_path / "cars.csv")).class_names
    assert message in str(caught.value)


def test_listed_images_are_left_out(tmp_path: Path) -> None:
    layouts.devkit(tmp_path)
    whole = StanfordCarsDataModule(root=str(tmp_path), val_fraction=0.2)
    splits: list[Literal["train", "val", "test"]] = ["train", "val", "test"]
    dropped = [str(whole.samples(split).files[1]) for split in splits]
    (tmp_path / "exclude.txt").write_text(
        "# not wanted\n\n" + "".join(f"{Path(p).relative_to(tmp_path)}\n" for p in dropped)
    )
    data = StanfordCarsDataModule(root=str(tmp_path), val_fraction=0.2, exclude=str(tmp_path / "exclude.txt"))
    for split, file in zip(splits, dropped, strict=True):
        assert list(data.samples(split).files) == [other for other in whole.samples(split).files if other != file]
    (tmp_path / "exclude.txt").write_text("cars_train/99999.jpg\n")
    data = StanfordCarsDataModule(root=str(tmp_path), val_fraction=0.2, exclude=str(tmp_path / "exclude.txt"))
    with pytest.raises(MisconfigurationException, match=r"99999\.jpg, which doesn't exist"):
        data.samples("train")


def test_wrong_official_labels_are_noticed(tmp_path: Path, official_copy: Callable[..., Path]) -> None:
    data = StanfordCarsDataModule(root=str(official_copy(tmp_path / "right")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.read("train")
    wrong = StanfordCarsDataModule(root=str(official_copy(tmp_path / "wrong", swap=(5, 6))))
    with pytest.warns(UserWarning, match=r"cars_train_annos\.mat has other labels or boxes than the official file"):
        wrong.read("train")
    wrong.read("test")
