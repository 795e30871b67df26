import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torchvision.datasets import ImageFolder

from datamodules import ImageFolderDataModule, ToyCarsDataModule
from train import main


@pytest.fixture
def folders(toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path) -> Path:
    data = toy_data()
    for split in ("train", "val", "test"):
        samples = data.samples(split)
        assert samples.labels is not None
        for file, label in zip(samples.files, samples.labels, strict=True):
            folder = tmp_path / split / data.class_names[label]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / Path(file).name).symlink_to(file)
    return tmp_path


def test_equals_torchvisions_reader(folders: Path) -> None:
    data = ImageFolderDataModule(root=str(folders))
    for split in ("train", "val", "test"):
        theirs = ImageFolder(folders / split)
        samples = data.samples(split)
        assert samples.labels is not None
        assert theirs.classes == data.class_names
        assert list(zip(samples.files, samples.labels.tolist(), strict=True)) == theirs.samples


def test_without_val_a_part_of_train_validates(folders: Path) -> None:
    (folders / "val").rename(folders / "unused")
    data = ImageFolderDataModule(root=str(folders), val_fraction=0.25)
    train, val = data.samples("train"), data.samples("val")
    assert len(val) == round(0.25 * (len(train) + len(val)))
    assert not set(train.files) & set(val.files)
    assert val.labels is not None
    assert set(np.unique(val.labels)) == set(range(8))


@pytest.mark.parametrize("tested", [True, False])
def test_the_next_command_is_one_that_the_data_allow(
    folders: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], tested: bool
) -> None:
    if not tested:
        (folders / "test").rename(folders / "unused")
    own = [argument for argument in arguments if not argument.startswith("--data")]
    data = ["--data=datamodules.ImageFolderDataModule", f"--data.root={folders}", "--data.image_size=32"]
    main(["fit", *own, *data, "--data.num_workers=0", "--trainer.max_epochs=1", "--previews.enabled=false"])
    command, run = capsys.readouterr().out.splitlines()[-1].rpartition(" ")[::2]
    assert command.endswith(" test" if tested else " validate")
    main([command.split()[-1], run])
    if not tested:
        with pytest.raises(SystemExit, match="has no test part, only train, val. The command validate scores"):
            main(["test", run])


def test_an_unknown_or_empty_class_is_named(folders: Path) -> None:
    (folders / "test" / "Zeppelin").mkdir()
    with pytest.raises(MisconfigurationException, match="Zeppelin"):
        ImageFolderDataModule(root=str(folders)).samples("test")
    (folders / "train" / "Airship").mkdir()
    with pytest.raises(MisconfigurationException, match="Airship"):
        ImageFolderDataModule(root=str(folders)).samples("train")


def test_one_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train" / "only").mkdir(parents=True)
    with pytest.raises(MisconfigurationException, match="but it takes two to tell apart"):
        _ = ImageFolderDataModule(root=str(tmp_path)).class_names


@pytest.mark.parametrize("deep", [False, True])
def test_a_folder_that_may_not_be_listed_is_named(
    folders: Path, monkeypatch: pytest.MonkeyPatch, mistake: Callable[..., str], deep: bool
) -> None:
    closed = next(iter(sorted((folders / "train").iterdir()))) / ("more" if deep else "")
    closed.mkdir(exist_ok=True)
    scandir = os.scandir

    def closing(path: Any) -> Any:
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", closing)
    message = mistake("fit", "--data=datamodules.ImageFolderDataModule", f"--data.root={folders}")
    assert message.endswith(f"Can't list the folder {closed}: Permission denied.")


def test_a_root_that_may_not_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: Callable[..., str]
) -> None:
    def closed(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", closed)
    message = mistake("fit", "--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path}")
    assert message.endswith(f"Can't list the folder {tmp_path}: Permission denied.")
