"""``data.exclude``: what ``check`` writes is read, and lines mean files, however they are spelled."""

import os
from pathlib import Path

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import ImageFolderDataModule
from tests.support.photos import class_folders, picture
from train import main


def kept(root: Path, exclude: Path) -> set[str]:
    data = ImageFolderDataModule(root=str(root), exclude=str(exclude), val_fraction=0.2)
    data.prepare_data()
    base = f"{root}/"
    return {str(file).removeprefix(base) for split in ("train", "val", "test") for file in data.samples(split).files}


def test_a_line_means_a_file_however_it_is_spelled(tmp_path: Path) -> None:
    real = class_folders(tmp_path / "real", ["a", "b", "c"], 12)
    picture(real / "a/more/1.jpg", seed=77)
    picture(real / "a/more/2.jpg", seed=78)
    (tmp_path / "link").symlink_to("real")
    everything = {str(path.relative_to(real)) for path in real.rglob("*.jpg")}
    lines = [
        str((real / "a/0.jpg").resolve()),  # the real path, where root is a link
        "b/../a/1.jpg",
        "./a/2.jpg",
        "a\\3.jpg",
        "  a/4.jpg ",
        str(tmp_path / "link/a/5.jpg"),
        "a/more",  # a folder
    ]
    gone = {*(f"a/{number}.jpg" for number in range(6)), "a/more/1.jpg", "a/more/2.jpg"}
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "exclude.txt").write_text("# a comment\n\n" + "\r\n".join(lines), encoding=encoding)
        for root in ("link", "real"):
            assert kept(tmp_path / root, tmp_path / "exclude.txt") == everything - gone


@pytest.mark.parametrize("name", ["#1", " #", '"quoted"', "tab\tand  blanks", "new\nline", "é", "a;b,c"])
def test_what_check_proposes_is_left_out(tmp_path: Path, name: str) -> None:
    root = class_folders(tmp_path / "photos", [name, "other"], 12)
    broken = [f"{name}/broken{number}.jpg" for number in range(3)]
    for file in broken:
        (root / file).write_bytes(b"broken")
    with pytest.raises(SystemExit):
        main(["check", "--data=datamodules.ImageFolderDataModule", f"--data.root={root}", f"--output={tmp_path / 'o'}"])
    everything = {os.path.relpath(path, root) for path in root.rglob("*.jpg")}
    assert kept(root, tmp_path / "o/exclude.txt") == everything - {*broken}


def test_a_line_that_means_nothing_and_a_class_without_pictures_are_errors(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", ["a", "b", "c"], 12)
    picture(tmp_path / "elsewhere.jpg")
    exclude = tmp_path / "exclude.txt"
    for text, message in (
        ("a/99.jpg\n", r"exclude\.txt, lists .*99\.jpg, which doesn't exist"),
        ("\n../elsewhere.jpg\n", r"lists .*elsewhere\.jpg in line 2, which is none of the data set's images"),
        ("a\n", r"exclude\.txt, leaves no training image of 'a'"),
    ):
        exclude.write_text(text)
        with pytest.raises(MisconfigurationException, match=message):
            kept(root, exclude)
