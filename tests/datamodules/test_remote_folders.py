"""Class folders and tables in object storage train and score as local ones do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import ImageFolderDataModule
from datamodules.files.json_file import write_object
from datamodules.remote import copied_folder as copied_folder_module
from datamodules.remote.copied_folder import copied_folder
from datamodules.remote.storage import Storage
from tests.command_line.test_remote_runs import objects
from tests.datamodules.test_object_storage import server
from tests.support.processes import run_devices
from tests.support.storage_server import StorageServer
from train import main

__all__ = ["server"]

pytestmark = [pytest.mark.slow, pytest.mark.heavy]


@pytest.fixture
def photos(toy_set: Path, tmp_path: Path) -> Path:
    """Class folders of drawn cars, with names that URLs don't take as they are."""
    folder = tmp_path / "photos"
    for number, file in enumerate(sorted(toy_set.rglob("*.jpg"))[:60]):
        name = ("Audi A4 #1", "Škoda 100%")[number % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / name / f"{number} ä+.jpg")
    return folder


def options(root: str) -> dict[str, Any]:
    return {"root": root, "image_size": 32, "batch_size": 8, "num_workers": 0, "seed": 1}


def test_a_killed_copy_forgets_no_file(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched before the kill and is then deleted in the bucket doesn't stay in the copy."""
    url, base = f"file://{photos}", tmp_path / "copies"
    fetched: list[str] = []

    def fetch(storage: Storage, name: str, file: Path) -> str:
        if len(fetched) == 10:
            raise KeyboardInterrupt
        fetched.append(name)
        return whole(storage, name, file)

    whole, written = copied_folder_module._fetch, write_object
    monkeypatch.setattr(copied_folder_module, "_AT_A_TIME", 1)
    monkeypatch.setattr(copied_folder_module, "_fetch", fetch)
    states: list[dict[str, str]] = []

    def write(file: Path, state: dict[str, str]) -> None:
        states.append(state)
        written(file, state)

    monkeypatch.setattr(copied_folder_module, "write_object", write)
    with pytest.raises(KeyboardInterrupt):
        copied_folder(url, base)
    monkeypatch.undo()
    (state_file,) = (base / ".states").glob("*.json")
    state_file.write_text(json.dumps(states[0]))  # as a kill leaves it
    (photos / fetched[3]).unlink()
    copy = copied_folder(url, base)
    there = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert there == {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}


def test_batches_are_those_of_the_folder_and_only_what_has_changed_is_fetched_again(
    server: StorageServer, photos: Path
) -> None:
    server.upload(photos, "photos")
    here, there = (ImageFolderDataModule(**options(root)) for root in (str(photos), "s3://cars/photos"))
    for data in (here, there):
        data.prepare_data()
        data.setup("fit")
        data.setup("test")
    assert there.class_names == ["Audi A4 #1", "Škoda 100%"]
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for mine, theirs in zip(getattr(here, loader)(), getattr(there, loader)(), strict=True):
            assert torch.equal(mine[0], theirs[0])
            assert torch.equal(mine[1], theirs[1])
    assert len([path for path in server.asked if path.endswith(".jpg")]) == 60
    assert objects(server, "photos/")["split.csv"] == (photos / "split.csv").read_bytes()
    server.asked.clear()
    Storage("s3://cars/photos").put(photos / "Audi A4 #1/0 ä+.jpg", "Audi A4 #1/2 ä+.jpg")
    Storage("s3://cars/photos").remove("Audi A4 #1/4 ä+.jpg")
    again = ImageFolderDataModule(**options("s3://cars/photos"))
    kept = sorted(path.name for path in (again.root / "Audi A4 #1").iterdir())
    assert len([path for path in server.asked if path.endswith(".jpg")]) == 1
    assert (again.root / "Audi A4 #1/2 ä+.jpg").read_bytes() == (photos / "Audi A4 #1/0 ä+.jpg").read_bytes()
    assert "4 ä+.jpg" not in kept
    assert "0 ä+.jpg" in kept


def test_commands_take_folders_and_tables(
    server: StorageServer,
    photos: Path,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    files = sorted(photos.rglob("*.jpg"))
    rows = [f"{file.relative_to(photos).as_posix()},{file.parent.name}" for file in files]
    (photos / "photos.csv").write_text("path,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    server.upload(photos, "table")
    server.upload(photos.parent / "photos" / "Audi A4 #1", "folders/Audi")
    server.upload(photos.parent / "photos" / "Škoda 100%", "folders/Skoda")
    common = [
        "--data.image_size=32",
        "--data.num_workers=0",
        "--data.batch_size=8",
        "--model.backbone=squeezenet1_1",
        "--model.cosine_scale=null",
    ]
    common += ["--model.weights=null", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"]
    common += ["--previews.enabled=false", "--report.enabled=false", "--trainer.accelerator=cpu"]
    main(["fit", "s3://cars/folders", *common, "--name=folders"])
    main(["fit", "s3://cars/table/photos.csv", *common, "--name=table", "--logs=s3://cars/logs"])
    main(["test", "s3://cars/logs/own_photos/table"])
    config = next((tmp_path / "logs").rglob("config.yaml")).read_text()
    assert "root: s3://cars/folders" in config
    run = next((tmp_path / "logs").rglob("config.yaml")).parent
    main(["test", str(run)])
    run_devices(["test", str(run)], 2)
    one, two = (json.loads((run / name / "test_scores.json").read_text()) for name in ("test", "test-2"))
    assert one["test/accuracy"] == pytest.approx(two["test/accuracy"], abs=1e-5)
    capfd.readouterr()
    main(["check", "s3://cars/folders", f"--output={tmp_path / 'check'}"])
    main(["preview", "s3://cars/folders", f"--output={tmp_path / 'preview.png'}"])
    assert (tmp_path / "preview.png").stat().st_size > 10_000


def test_what_cannot_be_fetched_is_one_sentence(
    server: StorageServer, photos: Path, monkeypatch: pytest.MonkeyPatch, mistake: Callable[..., str]
) -> None:
    server.upload(photos, "photos")
    folders = ["--data=datamodules.ImageFolderDataModule"]
    assert "There is nothing in s3://cars/none" in mistake("fit", *folders, "--data.root=s3://cars/none")
    assert "There is no s3://none/photos/, or no such bucket" in mistake(
        "fit", *folders, "--data.root=s3://none/photos"
    )
    monkeypatch.setattr("datamodules.remote.copied_folder._SPARE", 0.0)
    assert "choose another data.cache_dir, or convert the data set" in mistake(
        "fit", *folders, "--data.root=s3://cars/photos"
    )
