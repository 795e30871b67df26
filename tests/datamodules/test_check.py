"""``train.py check`` on data sets with everything wrong that there is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules import StanfordCarsDataModule
from datamodules.check.check_data import _layout_findings
from datamodules.check.inspection import inspect_image
from datamodules.check.labelled_files import list_files
from datamodules.layouts.annotation_files import write_samples
from tests.support import layouts
from tests.support.checked_photos import Check, images, titles
from tests.support.checked_photos import check as check
from tests.support.checked_photos import photos as photos


def test_a_sound_set_passes(photos: Path, check: Check, tmp_path: Path) -> None:
    code, problems = check(photos)
    assert code == 0
    assert titles(problems, "error") == titles(problems, "warning") == set()
    assert not (tmp_path / "out/exclude.txt").exists()
    assert "<img" not in (tmp_path / "out/report.html").read_text()


def test_everything_is_found_in_one_pass_and_can_be_left_out(photos: Path, check: Check, tmp_path: Path) -> None:
    train, test = images(photos, "train"), images(photos, "test")
    train[0].write_bytes(train[0].read_bytes()[:500])
    train[1].write_bytes(b"")
    train[2].unlink()
    train[2].symlink_to("nowhere.jpg")
    picture = Image.open(train[3])
    picture.convert("L").save(train[3])
    Image.open(train[4]).convert("CMYK").save(train[4])
    Image.open(train[5]).save(train[5], format="PNG")
    exif = Image.Exif()
    exif[274] = 6
    Image.open(train[6]).save(train[6], exif=exif)
    Image.new("RGB", (300, 20), (9, 80, 3)).save(train[7])
    shutil.copy(train[8], train[8].with_name("copy.jpg"))
    shutil.copy(train[20], test[0])  # of another class
    other = next(path for path in train if path.parent != train[21].parent)
    Image.open(train[21]).resize((200, 140)).save(other.parent / "smaller.jpg", quality=70)

    code, problems = check(photos)
    assert code == 1
    by_title = {row["problem"]: row for row in problems}
    assert titles(problems, "error") == {
        "can't be read",
        "same picture in training and test",
        "same picture under different labels",
    }
    unreadable = {row["file"] for row in problems if row["problem"] == "can't be read"}
    assert unreadable == {str(path.relative_to(photos)) for path in train[:3]}
    leak = by_title["same picture in training and test"]
    assert {leak["file"], leak["other file"]} == {str(path.relative_to(photos)) for path in (train[20], test[0])}
    assert titles(problems, "warning") == {
        "same picture more than once", "wrong extension (PNG)", "tiny, huge or very slender",
    }  # fmt: skip
    assert {"greyscale, converted when read", "CMYK, converted when read"} <= titles(problems, "note")
    assert "EXIF orientation, converted when read" in by_title
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("<img") >= 8
    assert str(train[21].relative_to(photos)) in page

    exclude = tmp_path / "exclude.txt"
    shutil.copy(tmp_path / "out/exclude.txt", exclude)
    code, problems = check(photos, f"--data.exclude={exclude}")
    assert code == 0, problems
    assert test[0].exists()


def test_boxes_and_missing_labels_are_checked(tmp_path: Path, check: Check) -> None:
    root = layouts.devkit(tmp_path / "cars")
    samples = StanfordCarsDataModule(root=str(root)).read("train")
    assert samples.boxes is not None
    samples.boxes[0], samples.boxes[1] = (40, 0, 50, 10), (0, 0, 31, 20)
    write_samples(root, "train", samples)
    shutil.copy(root / "cars_test/00001.jpg", root / "cars_test/99999.jpg")
    code, problems = check(root, "--data.val_fraction=0.2", module="StanfordCarsDataModule")
    assert code == 1
    found = {row["problem"]: row["file"] for row in problems}
    assert found["box outside of the image"] == "cars_train/00001.jpg"
    assert found["box reaches beyond the image"] == "cars_train/00002.jpg"
    assert found["image without a label"] == "cars_test/99999.jpg"


def test_wrong_official_labels_are_an_error(official_copy: Callable[..., Path], tmp_path: Path) -> None:
    for swap, expected in ((None, []), ((5, 6), ["annotations aren't the official ones"])):
        data = StanfordCarsDataModule(root=str(official_copy(tmp_path / str(swap), swap=swap)))
        assert [finding.title for finding in _layout_findings(data, list_files(data))] == expected


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_oddities_are_counted(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"odd.{suffix}"
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert "animation" in inspect_image(str(path)).traits
    if suffix == "png":
        cv2.imwrite(str(path), np.full((40, 40, 3), 40000, np.uint16))
        assert inspect_image(str(path)).traits == ("16 bits",)
        Image.new("RGBA", (40, 40)).save(path)
        assert inspect_image(str(path)).traits == ("transparency",)


def test_what_becomes_of_odd_pictures_is_said(photos: Path, check: Check) -> None:
    train = images(photos, "train")
    Image.open(train[0]).convert("RGBA").save(train[0], format="PNG")
    cv2.imwrite(str(train[1].with_suffix(".png")), np.full((40, 40, 3), 4000, np.uint16))
    data = train[2].read_bytes()
    train[2].write_bytes(data[:2] + bytes(100) + data[2:-2] + bytes(258) + data[-2:])
    train[3].rename(train[3].with_suffix(".jfif"))
    train[4].rename(train[4].with_suffix(".jpe"))
    Image.open(train[5]).save(train[5].with_suffix(".jpe"), format="PNG")
    train[6].write_text("<html>")
    _, problems = check(photos)
    found = {row["problem"]: row["file"] for row in problems}
    assert found["transparency, on white when read"] == str(train[0].relative_to(photos))
    assert found["16 bits, scaled to 8 when read"].endswith(".png")
    assert found["odd JPEG header, read nevertheless"] == str(train[2].relative_to(photos))
    wrong = {row["file"] for row in problems if row["problem"] == "wrong extension (PNG)"}
    assert {Path(file).stem for file in wrong} == {train[0].stem, train[5].stem}
    (refused,) = (row for row in problems if row["severity"] == "error" and row["file"].endswith(train[6].name))
    assert "it is an HTML page" in refused["detail"]


def test_names_that_differ_in_case_are_a_warning(photos: Path, check: Check) -> None:
    for split in ("train", "val", "test"):
        first, *_ = sorted((photos / split).iterdir())
        twin = first.with_name(first.name.swapcase())
        twin.mkdir()
        picture = sorted(first.iterdir())[0]
        Image.fromarray(np.asarray(Image.open(picture))[::-1]).save(twin / "other.jpg")
    code, problems = check(photos)
    assert code == 0
    (row,) = (row for row in problems if row["problem"] == "classes whose names differ in case only")
    assert {repr(first.name), repr(twin.name)} == {*row["detail"].split(" and ")}
