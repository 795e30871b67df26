"""``data.corrected_labels``: other labels for single images, without a change in the data set or its division."""

import contextlib
from pathlib import Path

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import ImageFolderDataModule
from tests.support.photos import class_folders, picture
from train import main


def labels_of(root: Path, table: Path | None) -> dict[str, dict[str, str]]:
    """Name the class of each file in each split."""
    data = ImageFolderDataModule(root=str(root), corrected_labels=str(table) if table else None)
    data.prepare_data()
    found = {}
    for split in ("train", "val", "test"):
        samples = data.samples(split)
        assert samples.labels is not None
        names = [data.class_names[label] for label in samples.labels.tolist()]
        found[split] = {
            str(Path(file).relative_to(root)): name for file, name in zip(samples.files, names, strict=True)
        }
    return found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_labels_change_and_nothing_else_does(tmp_path: Path, encoding: str) -> None:
    root = class_folders(tmp_path / "photos", ["a", "b", "Citroën, C4"], 12)
    before = labels_of(root, None)
    record = (root / "split.csv").read_bytes()
    wanted = {"a/0.jpg": "b", "a/1.jpg": "Citroën, C4", "b/3.jpg": "a", "a/2.jpg": "a"}
    table = tmp_path / "relabel.csv"
    rows = [f"{root}/a/0.jpg,b", 'a\\1.jpg,"Citroën, C4 "', "b/../b/3.jpg,a", "a/2.jpg,a"]
    table.write_text("\r\n".join(["path,label", *rows]), encoding=encoding)
    after = labels_of(root, table)
    assert {split: [*names] for split, names in after.items()} == {split: [*names] for split, names in before.items()}
    for split, names in before.items():
        assert after[split] == {file: wanted.get(file, name) for file, name in names.items()}
    assert (root / "split.csv").read_bytes() == record
    fresh = class_folders(tmp_path / "fresh/photos", ["a", "b", "Citroën, C4"], 12)
    table.write_text("path,label\na/0.jpg,b\n")
    labels_of(fresh, table)  # the record of the division keeps the labels of the data set
    assert (fresh / "split.csv").read_bytes() == record


def test_it_works_beside_exclude_and_for_tables(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", ["a", "b"], 12)
    rows = [f"photos/{name}/{number}.jpg,{name}" for name in "ab" for number in range(12)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    (tmp_path / "relabel.tsv").write_text("file\tclass\nphotos/a/0.jpg\tb\nphotos/a/1.jpg\tb\n")
    (tmp_path / "exclude.txt").write_text("photos/a/1.jpg\n")
    data = ImageFolderDataModule(
        root=str(tmp_path / "list.csv"),
        corrected_labels=str(tmp_path / "relabel.tsv"),
        exclude=str(tmp_path / "exclude.txt"),
    )
    data.prepare_data()
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        samples = data.samples(split)
        assert samples.labels is not None
        found |= {Path(file).parent.name + Path(file).name: "ab"[label]
                  for file, label in zip(samples.files, samples.labels, strict=True)}  # fmt: skip
    assert found["a0.jpg"] == "b"
    assert "a1.jpg" not in found
    assert found["a2.jpg"] == "a"


def test_mistakes_are_answered_in_one_sentence(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", ["a", "b"], 12)
    picture(tmp_path / "elsewhere.jpg")
    table = tmp_path / "relabel.csv"
    for text, message in (
        ("path,label\na/99.jpg,b\n", r"relabel\.csv, lists .*99\.jpg, which doesn't exist"),
        (
            "path,label\n../elsewhere.jpg,b\n",
            r"lists .*elsewhere\.jpg in line 2, which is none of the data set's images",
        ),
        ("path,label\na/0.jpg,bb\n", r"gives the label 'bb' in line 2, which is none of the 2 classes"),
        ("path,label\na/0.jpg,b\na/0.jpg,a\n", r"gives .*a/0\.jpg a second label in line 3"),
        ("path,label\na/0.jpg\n", r"has too few cells in line 2"),
        ("a/0.jpg,b\n", r"needs a first line with the columns path and label"),
        ("", r"needs a first line with the columns path and label"),
    ):
        table.write_text(text)
        with pytest.raises(MisconfigurationException, match=message):
            labels_of(root, table)
    with pytest.raises(MisconfigurationException, match=r"Can't read data\.corrected_labels, .*absent\.csv"):
        labels_of(root, tmp_path / "absent.csv")


def test_check_counts_the_corrected_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = class_folders(tmp_path / "photos", ["a", "b"], 12)
    picture(root / "a/copy.jpg", seed=1000, quality=70)  # b/0.jpg, under another label
    options = [
        "check",
        "--data=datamodules.ImageFolderDataModule",
        f"--data.root={root}",
        f"--output={tmp_path / 'out'}",
    ]
    with contextlib.suppress(SystemExit):  # errors, if the copy is in the training part
        main(options)
    assert "same picture under different labels" in capsys.readouterr().out
    (tmp_path / "relabel.csv").write_text("path,label\na/copy.jpg,b\n")
    main([*options, f"--data.corrected_labels={tmp_path / 'relabel.csv'}"])
    assert "same picture under different labels" not in capsys.readouterr().out
