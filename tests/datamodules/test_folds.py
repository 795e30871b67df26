"""``data.folds``: each image validates once, and nothing that belongs together is parted."""

from pathlib import Path

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.model_selection import StratifiedKFold

from datamodules import ImageFolderDataModule
from datamodules.dividing.folds import divide_fold
from datamodules.samples import NO_LABEL, Samples, joined
from tests.support.photos import class_folders, picture


def samples(labels: np.ndarray, groups: np.ndarray | None = None) -> Samples:
    return Samples(np.array([f"{number}.jpg" for number in range(len(labels))]), labels, None, groups)


def files(root: Path, split: str, **options: object) -> list[str]:
    data = ImageFolderDataModule(root=str(root), **options)  # type: ignore[arg-type]
    data.prepare_data()
    return [str(Path(file).relative_to(root)) for file in data.samples(split).files]  # type: ignore[arg-type]


@pytest.mark.parametrize("folds", [2, 5])
def test_without_anything_to_keep_together_they_are_scikit_learns(folds: int) -> None:
    labels = np.repeat(np.arange(7), 11)
    expected = StratifiedKFold(folds, shuffle=True, random_state=3).split(labels, labels)
    for fold, (train, val) in enumerate(expected):
        first, second = divide_fold(samples(labels), folds, fold, 3)
        assert first.files.tolist() == [f"{number}.jpg" for number in train]
        assert second.files.tolist() == [f"{number}.jpg" for number in val]


def test_groups_and_pairs_are_never_parted_and_classes_stay_mixed() -> None:
    labels = np.repeat(np.arange(6), 30)
    groups = np.where(np.arange(180) % 3 == 0, np.arange(180) // 6, NO_LABEL)
    pairs = [(1, 2), (2, 4), (50, 140)]
    seen = []
    for fold in range(3):
        _, second = divide_fold(samples(labels, groups), 3, fold, 0, pairs)
        inside = {int(str(file).removesuffix(".jpg")) for file in second.files}
        seen += [*inside]
        assert all(len({one in inside, other in inside}) == 1 for one, other in pairs)
        for group in {*groups.tolist()} - {NO_LABEL}:
            assert len({number in inside for number in np.flatnonzero(groups == group).tolist()}) == 1
        assert np.bincount(labels[sorted(inside)]).min() >= 5
    assert sorted(seen) == [*range(180)]


def test_every_image_but_those_of_the_test_validates_once(tmp_path: Path) -> None:
    undivided = class_folders(tmp_path / "undivided", ["a", "b", "c"], 12)
    test = files(undivided, "test")
    divided = tmp_path / "divided"
    for number, (part, each) in enumerate((("train", 9), ("val", 4), ("test", 3))):
        class_folders(divided / part, ["a", "b"], each, first=10_000 * number)
    for root, tested in ((undivided, test), (divided, files(divided, "test"))):
        everything = {str(path.relative_to(root)) for path in root.rglob("*.jpg")} - {*tested}
        validated: list[str] = []
        for fold in range(4):
            val = files(root, "val", folds=4, fold=fold)
            assert {*files(root, "train", folds=4, fold=fold)} == everything - {*val}
            assert files(root, "test", folds=4, fold=fold) == tested
            validated += val
        assert sorted(validated) == sorted(everything)


def test_equal_pictures_are_in_one_fold(tmp_path: Path) -> None:
    root = class_folders(tmp_path, ["a", "b"], 14)
    for number in range(5):
        picture(root / "a" / f"copy{number}.jpg", seed=number, quality=90)
    for fold in range(3):
        val = files(root, "val", folds=3, fold=fold)
        test = files(root, "test")
        for number in range(5):
            pair = [f"a/{number}.jpg", f"a/copy{number}.jpg"]
            assert len({name in val for name in pair if name not in test}) <= 1


def test_lists_keep_their_groups_when_they_are_put_together(tmp_path: Path) -> None:
    class_folders(tmp_path / "p", ["a", "b"], 6)
    for part, numbers in (("train", range(4)), ("val", range(4, 6))):
        rows = [f"p/{name}/{number}.jpg,{name},car{number % 4}" for name in "ab" for number in numbers]
        (tmp_path / f"{part}.csv").write_text("\n".join(["path,label,group", *rows]))
    (tmp_path / "test.csv").write_text("path,label,group\np/a/0.jpg,a,other\np/b/0.jpg,b,other\n")
    data = ImageFolderDataModule(root=str(tmp_path), folds=2, keep_equal_together=False)
    train, val = data.read("train"), data.read("val")
    assert train.groups is not None
    assert val.groups is not None
    assert {*val.groups.tolist()} < {*train.groups.tolist()}  # car0 and car1, in a table of their own
    assert joined([train, val]).groups is not None
    inside = {Path(file).name for file in data.samples("val").files.tolist()}
    assert ("0.jpg" in inside) == ("4.jpg" in inside)
    assert ("1.jpg" in inside) == ("5.jpg" in inside)


def test_impossible_folds_are_refused(tmp_path: Path) -> None:
    root = class_folders(tmp_path, ["a", "b"], 10)
    for options, message in (
        ({"folds": 1}, "data.folds is 1: it has to be between 2 and"),
        ({"folds": 3, "fold": 3}, "data.fold is 3: it has to be between 0 and 2"),
        ({"folds": 60}, "data.folds is 60, but no class has so many training images: choose fewer folds"),
    ):
        with pytest.raises(MisconfigurationException, match=message):
            files(root, "val", **options)
