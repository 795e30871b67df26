"""Nothing a user has is passed over in silence: every file is used, or counted under a reason."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules import ImageFolderDataModule
from datamodules.files.file_search import find_images
from datamodules.files.passed_over import PassedOver
from datamodules.photographs.photograph_search import list_photographs
from datamodules.reading import file_kinds
from tests.support.photos import class_folders, picture
from train import main


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    decodes = file_kinds.can_decode
    monkeypatch.setattr(file_kinds, "can_decode", lambda kind: kind.format != "HEIC" and decodes(kind))


def full_folder(root: Path) -> dict[str, int]:
    """Write photographs among all that people have beside them; returns how many files have which reason."""
    class_folders(root, ["a", "b"])
    jpeg = (root / "a/0.jpg").read_bytes()
    for number, name in enumerate(("saved.jfif", "saved.jpe", "saved.JPG_large", "saved", "photo.jpg.1")):
        picture(root / "a/source.jpg", seed=500 + number)
        (root / "a/source.jpg").rename(root / "a" / name)
    for number in range(30):
        (root / f"a/IMG_{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    for name in (".DS_Store", "a/.hidden.jpg", ".git/a.jpg", "a/.thumbs/1.jpg", "b/._0.jpg"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(jpeg)
    for name in ("a/@eaDir/0.jpg/thumb.jpg", "@eaDir/x.jpg/thumb.jpg", "#recycle/a/old.jpg", "a/Thumbs.db"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg)
    (root / "readme.txt").write_text("Hello")
    (root / "a/film.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(50))
    (root / "b/loop").symlink_to("..")
    picture(root / "stray.jpg", seed=900)
    return {
        "in HEIC format": 30,
        "hidden": 5,
        "of the system": 4,
        "not a picture": 2,
        "reached by a link again": 1,
        "outside of the class folders": 1,
    }


@pytest.mark.parametrize("spelling", ["{}", ".", "./", "../photos", "./../photos/"])
def test_every_file_is_used_or_counted(
    tmp_path: Path, without_heic: None, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    root = tmp_path / "photos"
    expected = full_folder(root)
    monkeypatch.chdir(root)
    data = ImageFolderDataModule(root=spelling.format(root))
    account = data.account()
    counts = {reason: account.count(reason) for reason in account.by_reason}
    assert {key: next(n for reason, n in counts.items() if key in reason) for key in expected} == expected
    used = len(data.read("all"))
    assert used == 25
    files = sum(len(files) for _, _, files in os.walk(root)) + 1  # the link
    assert used + sum(counts.values()) == files


def test_runs_beside_the_classes_and_links_to_themselves_are_no_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_heic: None
) -> None:
    root = tmp_path / "photos"
    class_folders(root, {"a": 6, "b": 6})
    for run in ("logs/own/version_0", "runs/version_1", "one"):
        (root / run).mkdir(parents=True)
        (root / run / "history.jsonl").write_text("{}")
        (root / run / "preview.png").write_bytes(next((root / "a").iterdir()).read_bytes())
    (root / "logs/own/learning_rate_finder.png").write_bytes(b"")
    (root / "self").symlink_to("self")
    (root / "a/self").symlink_to("self")
    monkeypatch.chdir(root)
    for spelling in (str(root), "."):
        data = ImageFolderDataModule(root=spelling)
        data.prepare_data()
        assert data.class_names == ["a", "b"]
        account = data.account()
        assert account.count("in runs of this project") == 7
        assert account.count("not a picture") == 2
    found = list_photographs(["../photos/**/*.jpg"], cropping=False)
    (root / "b/loop").symlink_to("..")
    assert [*map(str, found)] == [*map(str, list_photographs(["../photos/**/*.jpg"], cropping=False))]


def test_check_lists_and_fit_and_predict_sum_up(
    tmp_path: Path, without_heic: None, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "photos"
    full_folder(root)
    data = ["--data=datamodules.ImageFolderDataModule", f"--data.root={root}"]
    main(["check", *data, f"--output={tmp_path / 'out'}"])
    with (tmp_path / "out/problems.csv").open() as file:
        rows = list(csv.DictReader(file))
    heic = {row["file"] for row in rows if "HEIC" in row["problem"]}
    assert heic == {f"a/IMG_{number}.HEIC" for number in range(30)}
    assert f"note{'':5}      1  passed over: reached by a link again" in capsys.readouterr().out
    with pytest.warns(UserWarning, match=r"25 photographs are listed; passed over: 30 in HEIC format .*5 hidden"):
        ImageFolderDataModule(root=str(root)).prepare_data()

    found = list_photographs(str(root / "a"), cropping=False)
    assert sum("HEIC picture" in photograph.reason for photograph in found) == 30
    assert sum(not photograph.reason for photograph in found) == 15
    assert "Passed over in the folders to predict: " in caplog.text
    assert "not a picture" in caplog.text


def test_each_folder_is_searched_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    class_folders(tmp_path, ["a", "b", "c"], 2)
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/further").symlink_to("../..")
    (tmp_path / "a/self").symlink_to(".")
    (tmp_path / "b/one").symlink_to("../../pictures elsewhere")
    (tmp_path / "b/two").symlink_to("../../pictures elsewhere")
    (tmp_path / "c/back").symlink_to("../b")
    passed = PassedOver()
    assert len(find_images(tmp_path / "a", passed)) == 2
    assert passed.summary() == "3 reached by a link again"
    assert len(find_images(tmp_path / "c")) == 4
    assert [Path(file).name for file in find_images(tmp_path / "a")] == ["0.jpg", "1.jpg"]


def test_pipes_and_devices_are_never_opened(tmp_path: Path) -> None:
    class_folders(tmp_path, ["a"], 2)
    os.mkfifo(tmp_path / "a/pipe.jpg")
    os.mkfifo(tmp_path / "a/pipe")
    passed = PassedOver()
    assert len(find_images(tmp_path, passed)) == 2
    assert passed.count("not a picture") == 2


def test_the_table_is_compared_with_what_lies_there(tmp_path: Path, mistake: Callable[..., str]) -> None:
    class_folders(tmp_path / "images", ["x", "y"])
    rows = [f"images/{name}/{index}.jpg,{name}" for name in "xy" for index in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows, "images/x/gone.jpg,x"]))
    data = ImageFolderDataModule(root=str(tmp_path))
    with pytest.warns(UserWarning, match=r"16 photographs are listed; passed over: 4 not in labels\.csv, 1 in the"):
        data.prepare_data()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/labels.csv").write_text("path,label\na/1.jpg,x\na/2.jpg,y\n")
    message = mistake("fit", "--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path / 'other'}")
    assert "None of the 2 files that" in message
    assert "a/1.jpg: its paths are relative to its own folder" in message


def test_a_table_with_absolute_paths_and_a_root_with_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "set", ["x", "y"])
    rows = [f"{tmp_path}/set/{name}/{index}.jpg,{name},train" for name in "xy" for index in range(8)]
    (tmp_path / "set/labels.csv").write_text("\n".join(["path,label,split", *rows]))
    (tmp_path / "link").symlink_to(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    for root in ("set", "link", str(tmp_path / "link"), "set/labels.csv"):
        data = ImageFolderDataModule(root=root)
        assert data.account().count("not in labels.csv") == 4, root


def test_an_unlabelled_class_of_unreadable_pictures_says_why(tmp_path: Path, without_heic: None) -> None:
    class_folders(tmp_path, ["a", "b"])
    (tmp_path / "c").mkdir()
    (tmp_path / "c/1.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(
        Exception, match=r"The class folder .*c \(only 1 in HEIC format.*\) holds no images: add some, or remove it"
    ):
        ImageFolderDataModule(root=str(tmp_path)).read("all")
    assert np.array(find_images(tmp_path)).size == 20
