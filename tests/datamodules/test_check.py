"""``train.py check`` on data sets with everything wrong that there is."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules import ImageFolderDataModule, StanfordCarsDataModule
from datamodules.check.check_data import _layout_findings
from datamodules.check.duplicates import shared_boxes
from datamodules.check.inspection import inspect_image, inspect_images
from datamodules.check.labelled_files import list_files
from datamodules.fingerprints import Fingerprint, near_duplicates
from datamodules.layouts.annotation_files import write_samples
from datamodules.reading.image_reader import read_image
from tests.support import layouts
from train import main

Check = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture
def photos(toy_data: Callable[..., ImageFolderDataModule], tmp_path: Path) -> Path:
    """The drawn cars in class folders."""
    data, root = toy_data(), tmp_path / "photos"
    splits: list[Literal["train", "val", "test"]] = ["train", "val", "test"]
    for split in splits:
        samples = data.samples(split)
        assert samples.labels is not None
        for file, label in zip(samples.files, samples.labels, strict=True):
            target = root / split / data.class_names[label] / Path(str(file)).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return root


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run the command, and return its exit code and the problems it wrote down."""

    def call(root: Path, *extra: str, module: str = "ImageFolderDataModule") -> tuple[int, list[dict[str, str]]]:
        code = 0
        try:
            data = (f"--data=datamodules.{module}", f"--data.root={root}")
            main(["check", *data, f"--output={tmp_path / 'out'}", *extra])
        except SystemExit as stop:
            code = int(str(stop.code))
        with (tmp_path / "out/problems.csv").open() as file:
            return code, list(csv.DictReader(file))

    return call


def titles(problems: list[dict[str, str]], severity: str) -> set[str]:
    return {row["problem"] for row in problems if row["severity"] == severity}


def images(folder: Path, split: str) -> list[Path]:
    return sorted((folder / split).rglob("*.jpg"))


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


def test_what_a_table_lists_but_is_missing_can_be_left_out(photos: Path, check: Check, tmp_path: Path) -> None:
    rows = [f"train/{file.parent.name}/{file.name},{file.parent.name}" for file in images(photos, "train")]
    images(photos, "train")[3].unlink()
    (photos / "cars.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    code, problems = check(photos / "cars.csv")
    assert code == 1
    assert titles(problems, "error") == {"in the table but missing"}
    code, problems = check(photos / "cars.csv", f"--data.exclude={tmp_path / 'out/exclude.txt'}")
    assert (code, titles(problems, "error")) == (0, set())


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


def test_the_official_set_has_38_shared_boxes_36_of_them_contradicting(
    official_copy: Callable[..., Path], tmp_path: Path
) -> None:
    data = StanfordCarsDataModule(root=str(official_copy(tmp_path / "official")))
    train, test = data.read("train"), data.read("test")
    assert train.boxes is not None
    assert test.boxes is not None
    boxes = np.concatenate([train.boxes, test.boxes])
    labels = np.concatenate([train.labels, test.labels])
    pairs = shared_boxes(boxes, np.zeros((len(boxes), 2), np.int64))
    assert len(pairs) == 38
    assert sum(labels[first] != labels[second] for first, second in pairs) == 36
    assert sum(first < len(train) <= second for first, second in pairs) == 19


def test_a_box_that_many_pictures_have_is_no_evidence() -> None:
    sizes = np.tile([200, 100], (100_000, 1))
    constant = np.tile([10, 10, 90, 90], (100_000, 1))
    assert shared_boxes(constant, sizes) == []
    twins = constant + np.repeat(np.arange(50_000), 2)[:, np.newaxis]
    assert shared_boxes(twins, sizes) == [(first, first + 1) for first in range(0, 100_000, 2)]
    assert len(shared_boxes(constant[:5], sizes[:5])) == 10


def test_near_duplicates_equal_a_comparison_of_all_with_all() -> None:
    random = np.random.default_rng(0)
    prints = random.integers(0, 2**64, 300, dtype=np.uint64)
    prints[100:200] = prints[:100]
    for index in range(100, 200):
        for bit in random.choice(64, int(random.integers(0, 6)), replace=False):
            prints[index] ^= np.uint64(1) << np.uint64(bit)
    flat = np.zeros((8, 8, 3), np.uint8)
    found = [Fingerprint(bytes([n % 256, n // 256]), int(p), flat) for n, p in enumerate(prints)]
    expected = [
        (one, two)
        for one in range(300)
        for two in range(one + 1, 300)
        if bin(int(prints[one]) ^ int(prints[two])).count("1") <= 3
    ]
    assert near_duplicates(found) == expected
    assert 30 < len(expected) < 90


def test_photographs_are_told_apart_and_copies_recognised(stanford_cars_root: Path, tmp_path: Path) -> None:
    files = sorted((stanford_cars_root / "cars_train").glob("*.jpg"))[:400]
    copies = []
    for number, file in enumerate(files[:60]):
        image = read_image(file)[..., ::-1]
        copies.append(str(tmp_path / f"{number}.webp"))
        small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        cv2.imwrite(copies[-1], small, [cv2.IMWRITE_WEBP_QUALITY, 70])
    found = inspect_images(np.array([*map(str, files), *copies]), 0)
    pairs = {pair for pair in near_duplicates([one.fingerprint for one in found]) if pair[1] >= 400}
    expected = {(number, 400 + number) for number in range(60)}
    assert len(pairs & expected) >= 57
    assert pairs <= expected


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


@pytest.mark.slow
def test_what_somebody_else_has_written_is_kept(
    photos: Path, check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, out = images(photos, "train"), tmp_path / "out"
    train[0].write_bytes(b"")
    check(photos)
    proposed = (out / "exclude.txt").read_text()
    (out / "exclude.txt").write_text(f"{proposed}train/one of my own.jpg\n")
    (out / "problems.csv").write_text("what,when\nthe brakes,2024\n")
    (out / "report.html").write_text("<h1>Holidays</h1>")
    check(photos)
    assert (out / "exclude.1.txt").read_text() == proposed
    assert (out / "exclude.txt").read_text().endswith("own.jpg\n")
    assert "brakes" in (out / "problems.csv").read_text()
    assert "Holidays" in (out / "report.html").read_text()
    printed = capsys.readouterr().out
    assert all(str(out / name) in printed for name in ("exclude.1.txt", "report.1.html"))
    train[1].write_bytes(b"")
    check(photos)
    assert (out / "exclude.1.txt").read_text() != proposed
    assert len(list(out.iterdir())) == 6  # earlier reports are replaced
    others = tmp_path / "others"
    shutil.copytree(photos, others)
    check(others)
    assert (out / "exclude.2.txt").is_file()  # a list for another data set
    assert len(list(out.iterdir())) == 7


def test_a_new_list_leaves_out_what_an_earlier_one_does(photos: Path, check: Check, tmp_path: Path) -> None:
    train, out = images(photos, "train"), tmp_path / "out"
    train[0].write_bytes(b"")
    check(photos)
    train[1].write_bytes(b"")
    check(photos, f"--data.exclude={out / 'exclude.txt'}")
    listed = (out / "exclude.txt").read_text().splitlines()[1:]
    assert listed == sorted(str(path.relative_to(photos)) for path in train[:2])
    assert check(photos, f"--data.exclude={out / 'exclude.txt'}")[0] == 0


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
