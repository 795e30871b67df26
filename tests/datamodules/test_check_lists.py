"""What ``check`` writes: lists of what is to be left out, beside what somebody else has written."""

import shutil
from pathlib import Path

import pytest

from tests.support.checked_photos import Check, images, titles
from tests.support.checked_photos import check as check
from tests.support.checked_photos import photos as photos


def test_what_a_table_lists_but_is_missing_can_be_left_out(photos: Path, check: Check, tmp_path: Path) -> None:
    rows = [f"train/{file.parent.name}/{file.name},{file.parent.name}" for file in images(photos, "train")]
    images(photos, "train")[3].unlink()
    (photos / "cars.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    code, problems = check(photos / "cars.csv")
    assert code == 1
    assert titles(problems, "error") == {"in the table but missing"}
    code, problems = check(photos / "cars.csv", f"--data.exclude={tmp_path / 'out/exclude.txt'}")
    assert (code, titles(problems, "error")) == (0, set())


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
