"""Tables that list several boxes of one photograph, each a sample of its own."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from datamodules import ImageFolderDataModule
from datamodules.check.findings import excluded, find_problems
from datamodules.check.inspection import inspect_image
from datamodules.check.labelled_files import list_files
from datamodules.photographs.photograph_search import list_photographs

CAR, VAN = (0, 0, 90, 90), (100, 0, 190, 90)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photographs of a car and a van each; the first three are for testing."""
    rows = ["path,label,split,x1,y1,x2,y2"]
    for number in range(12):
        coarse = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((200, 100)).save(tmp_path / f"{number}.png")
        for label, box in (("car", CAR), ("van", VAN)):
            rows.append(f"{number}.png,{label},{'test' if number < 3 else 'train'},{','.join(map(str, box))}")
    (tmp_path / "cars.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "cars.csv"


def problems(table: Path, cropping: bool) -> tuple[set[str], set[str]]:
    data = ImageFolderDataModule(str(table), image_size=32, crop_to_box=cropping)
    listed = list_files(data)
    findings = find_problems(listed, [inspect_image(file) for file in listed.files])
    return {found.title for found in findings if found.severity != "note"}, {Path(f).name for f in excluded(findings)}


def test_check_contradicts_crops_of_one_photograph_only_where_they_are_equal(photos: Path) -> None:
    assert problems(photos, cropping=True) == (set(), set())
    titles, left_out = problems(photos, cropping=False)
    assert "same picture under different labels" in titles
    assert len(left_out) == 9
    photos.write_text(photos.read_text() + f"5.png,van,train,{','.join(map(str, CAR))}\n")
    assert problems(photos, cropping=True) == ({"same picture under different labels"}, {"5.png"})


def test_check_says_where_a_photograph_is_parted(photos: Path) -> None:
    photos.write_text(photos.read_text().replace("4.png,car,train", "4.png,car,test"))
    assert problems(photos, cropping=True) == ({"boxes of one photograph in training and test"}, set())


def test_predict_counts_the_boxes_that_it_leaves_out(photos: Path) -> None:
    table = photos.with_name("list.csv")
    table.write_text("path,x1,y1,x2,y2\n0.png,,,,\n0.png,0,0,90,90\n0.png,100,0,190,90\n1.png,0,0,9,9\n1.png,0,0,9,9\n")
    with pytest.warns(UserWarning, match=r"Boxes that are left out: 1, such as a second one of .*0\.png"):
        found = list_photographs(str(table), cropping=True)
    assert [(Path(one.file).name, one.box) for one in found] == [("0.png", CAR), ("1.png", (0, 0, 9, 9))]


@pytest.mark.filterwarnings("error::UserWarning")
def test_predict_says_nothing_where_boxes_do_not_matter(photos: Path) -> None:
    assert len(list_photographs(str(photos), cropping=False)) == 12


def test_a_path_corrects_no_label_of_several_boxes(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.png").write_bytes((tmp_path / "0.png").read_bytes())
    photos.write_text(photos.read_text() + "alone.png,car,train,0,0,90,90\n")
    corrections = tmp_path / "relabel.csv"

    def labels() -> Counter[str]:
        data = ImageFolderDataModule(str(photos), crop_to_box=True, val_fraction=0, corrected_labels=str(corrections))
        found = data.samples("train").labels
        assert found is not None
        return Counter(data.class_names[label] for label in found.tolist())

    corrections.write_text("path,label\nalone.png,van\n")
    assert labels() == {"car": 9, "van": 10}
    corrections.write_text("path,label\nalone.png,van\n4.png,van\n")
    with pytest.raises(MisconfigurationException, match=r"label to .*4\.png in line 3, of which .* several boxes"):
        labels()


def test_doubts_refuses_them_before_it_trains(photos: Path, tmp_path: Path, mistake: Callable[..., str]) -> None:
    message = mistake("doubts", "--data=datamodules.ImageFolderDataModule", f"--data.root={photos}",
                      "--data.crop_to_box=true", "--folds=2", f"--output={tmp_path / 'doubts'}")  # fmt: skip
    assert "cars.csv lists 9 photographs more than once, such as " in message
    assert not (tmp_path / "doubts").exists()


@pytest.mark.parametrize("together", [None, False, True])
def test_no_division_parts_a_photograph(photos: Path, together: bool | None) -> None:
    lines = [line.split(",") for line in photos.read_text().splitlines()]
    photos.write_text("".join(",".join([*line[:2], *line[3:]]) + "\n" for line in lines))
    options: dict[str, Any] = {"image_size": 32, "crop_to_box": True, "keep_equal_together": together}
    for folds in (None, 3):
        data = ImageFolderDataModule(str(photos), val_fraction=0.3, folds=folds, **options)
        files = [{*data.samples(split).files.tolist()} for split in ("train", "val", "test")]
        assert all(files)
        assert sum(map(len, files)) == len(set().union(*files)) == 12


def test_photographs_are_counted_once(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in (3, 4):
        (photos.parent / f"{number}.png").unlink()
    with pytest.warns(UserWarning, match="10 photographs are listed; passed over: 2 "):
        ImageFolderDataModule(str(photos)).prepare_data()
    for file in photos.parent.glob("*.png"):
        file.unlink()
    with pytest.raises(MisconfigurationException, match="None of the 12 files"):
        ImageFolderDataModule(str(photos)).prepare_data()
