"""What ``convert`` writes is this data set, all of it, or nothing."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import ImageFolderDataModule, StreamingDataModule
from datamodules.chunks.conversion import convert


def grey_table(root: Path, base: int, last_part: str = "test") -> Path:
    """Pictures of one level of grey each, ``base`` and above; the last four are of another part."""
    root.mkdir()
    rows = ["path,label,split"]
    for number in range(12):
        cv2.imwrite(f"{root / str(number)}.png", np.full((32, 32, 3), base + number, np.uint8))
        rows.append(f"{number}.png,{'ab'[number % 2]},{last_part if number >= 8 else 'train'}")
    (root / "cars.csv").write_text("\n".join(rows) + "\n")
    return root / "cars.csv"


def levels(stream: Path, split: str = "train") -> list[int]:
    data = StreamingDataModule(str(stream), image_size=32)
    data.setup("fit" if split == "train" else "test")
    dataset = data.datasets["train" if split == "train" else "test"]
    return sorted(int(dataset.read(index)[0, 0, 0]) for index in range(len(dataset)))


def folder_data(table: Path) -> ImageFolderDataModule:
    return ImageFolderDataModule(str(table), image_size=32, val_fraction=0)


def test_what_failed_before_leaves_nothing_that_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = grey_table(tmp_path / "broken", 200), grey_table(tmp_path / "whole", 10)
    (tmp_path / "broken/11.png").write_bytes(b"torn")
    with pytest.raises(MisconfigurationException, match=r"11\.png"):
        convert(folder_data(broken), tmp_path / "stream")
    assert {path.name for path in tmp_path.iterdir()} == {"broken", "whole"}

    with monkeypatch.context() as killed:  # nothing tidies up after such an end
        killed.setattr("datamodules.remote.draft.shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(MisconfigurationException, match=r"11\.png"):
            convert(folder_data(broken), tmp_path / "stream")
    left = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert len(left) == 1
    (left[0] / "stream").rename(tmp_path / ".stream.draft")  # as it was called once
    convert(folder_data(whole), tmp_path / "stream")
    assert levels(tmp_path / "stream") == [*range(10, 18)]
    assert levels(tmp_path / "stream", "test") == [*range(18, 22)]


def test_of_two_at_once_the_second_is_refused_and_the_first_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = grey_table(tmp_path / "one", 10), grey_table(tmp_path / "two", 200)
    second = folder_data(two)
    prepare = second.prepare_data

    def meanwhile() -> None:
        convert(folder_data(one), tmp_path / "stream")
        prepare()

    monkeypatch.setattr(second, "prepare_data", meanwhile)
    with pytest.raises(MisconfigurationException, match="stream, which exists already"):
        convert(second, tmp_path / "stream")
    assert levels(tmp_path / "stream") == [*range(10, 18)]


def test_a_set_without_a_test_part_is_converted(tmp_path: Path) -> None:
    table = grey_table(tmp_path / "cars", 10, "val")
    convert(ImageFolderDataModule(str(table), image_size=32), tmp_path / "stream")
    assert levels(tmp_path / "stream") == [*range(10, 18)]
    data = StreamingDataModule(str(tmp_path / "stream"), image_size=32)
    assert not data.has_test
    assert len(data.samples("val")) == 4
    assert not (tmp_path / "stream/test").exists()


def test_all_parts_are_listed_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder_data(grey_table(tmp_path / "cars", 10))
    listed = data.samples

    def fail_for_test(split: str) -> object:
        if split == "test":
            raise MisconfigurationException("no list of the test part")
        return listed(split)  # type: ignore[arg-type]

    monkeypatch.setattr(data, "samples", fail_for_test)
    monkeypatch.setattr("datamodules.chunks.conversion._write_chunks", lambda *_: pytest.fail("written too early"))
    with pytest.raises(MisconfigurationException, match="no list of the test part"):
        convert(data, tmp_path / "stream")
