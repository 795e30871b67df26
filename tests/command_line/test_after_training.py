"""What a run leaves, what other commands make of it, and what they refuse."""

import csv
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier
from tests.support.checkout import CHECKOUT
from tests.support.malicious import Malicious
from train import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, toy_root: Path) -> Path:
    """The logs of one run, made by the real command in a process of its own."""
    folder = tmp_path_factory.mktemp("trained")
    options = [
        "--train_images=10",
        "--test_images=5",
        "--val_fraction=0.2",
        "--image_size=64",
        "--batch_size=16",
        "--num_workers=2",
    ]
    command = [
        sys.executable, "train.py", "fit", "--config", "configs/demo.yaml",
        *(f"--data.{option.removeprefix('--')}" for option in options), f"--data.root={toy_root}",
        "--model.backbone=squeezenet1_1", "--trainer.max_epochs=2", "--trainer.log_every_n_steps=1",
        f"--trainer.logger.init_args.save_dir={folder}",
    ]  # fmt: skip
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert f"tensorboard --logdir {folder}" in finished.stdout
    return folder


@pytest.fixture
def run_dir(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, for a test of its own."""
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy/demo/version_0"


def test_a_run_leaves_what_it_should(trained: Path) -> None:
    folder = trained / "demo/version_0"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "fit_scores.json"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert "history.jsonl" in names
    assert not list(trained.rglob(".*"))


def test_the_config_of_a_run_reproduces_it(run_dir: Path, tmp_path: Path) -> None:
    main(["fit", "--config", str(run_dir / "config.yaml"), f"--trainer.logger.init_args.save_dir={tmp_path / 'again'}"])
    again = tmp_path / "again/demo/version_0"
    first, second = (torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in (run_dir, again))
    assert all(torch.equal(tensor, second["state_dict"][name]) for name, tensor in first["state_dict"].items())
    old, new = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (run_dir, again))
    for config in (old, new):
        config["trainer"]["logger"]["init_args"].pop("save_dir")
        config.pop("logs")
    assert old == new


@pytest.mark.slow
def test_validate_test_and_predict_run_from_the_config_of_a_run(run_dir: Path, toy_set: Path) -> None:
    before = (run_dir / "config.yaml").read_bytes()
    config = ["--config", str(run_dir / "config.yaml"), "--ckpt_path", str(run_dir)]
    main(["validate", *config])
    main(["test", *config])
    photos = toy_set / "cars_test"
    main(["predict", *config, f"--data.predict_dir={photos}"])
    assert (run_dir / "config.yaml").read_bytes() == before
    for stage in ("validate", "test", "predict"):
        assert (run_dir / stage / "config.yaml").is_file()
    assert [path.name for path in run_dir.parent.iterdir()] == ["version_0"]
    scores = json.loads((run_dir / "test/test_scores.json").read_text())
    assert scores["checkpoint"] == str(run_dir / "checkpoints/best.ckpt")
    assert 0 <= scores["test/accuracy"] <= 1
    fit, validate = (
        json.loads((run_dir / name).read_text()) for name in ("fit_scores.json", "validate/val_scores.json")
    )
    assert validate["val/f1"] == pytest.approx(fit["best val/f1"], abs=1e-6)

    with (run_dir / "predict/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == sorted(str(path) for path in photos.iterdir())
    model = ImageClassifier.load_from_checkpoint(
        run_dir / "checkpoints/best.ckpt", map_location="cpu", weights_only=True
    )
    for row in rows[:5]:  # a checkpoint alone says the same as the command line
        expected = model.classify(read_image(row["file"]))
        written = {row[f"class_{place}"]: float(row[f"probability_{place}"]) for place in range(1, 6)}
        assert written == pytest.approx({name: expected[name] for name in written}, abs=1e-5)
        assert [*written.values()] == pytest.approx([*expected.values()][:5], abs=1e-5)


@pytest.mark.slow
def test_other_preprocessing_than_the_checkpoints_is_not_silent(run_dir: Path) -> None:
    config = ["test", "--config", str(run_dir / "config.yaml"), "--ckpt_path", str(run_dir)]
    with pytest.warns(UserWarning, match="data.image_size 48 here, 64 there"):
        main([*config, "--data.image_size=48"])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Images are prepared")
        main(config)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["file", "run", "best", "last"])
def test_a_checkpoint_is_found_however_it_is_named(run_dir: Path, how: str) -> None:
    wanted = {"file": str(run_dir / "checkpoints/best.ckpt"), "run": str(run_dir)}.get(how, how)
    logs = f"--trainer.logger.init_args.save_dir={run_dir.parent.parent}"
    main(["test", "--config", str(run_dir / "config.yaml"), logs, "--ckpt_path", wanted])
    scores = json.loads((run_dir / "test/test_scores.json").read_text())
    assert scores["checkpoint"] == str(run_dir / "checkpoints" / ("last.ckpt" if how == "last" else "best.ckpt"))


def test_a_moved_checkpoint_needs_neither_run_nor_pretrained_weights(
    run_dir: Path, tmp_path: Path, arguments: list[str]
) -> None:
    (run_dir / "checkpoints/best.ckpt").rename(tmp_path / "mine.ckpt")
    main(["test", *arguments, "--model.weights=gone.pth", f"--ckpt_path={tmp_path / 'mine.ckpt'}"])
    assert (tmp_path / "logs/mine/test/test_scores.json").is_file()


def test_the_command_line_beats_the_checkpoint(run_dir: Path, tmp_path: Path) -> None:
    main(["fit", str(run_dir), "--trainer.max_epochs=3", "--model.label_smoothing=0.25"])
    last = torch.load(run_dir / "checkpoints/last.ckpt", weights_only=True)
    assert last["hyper_parameters"]["label_smoothing"] == 0.25
    assert last["epoch"] == 2


def test_checkpoints_hold_plain_values_only(run_dir: Path) -> None:
    stored = torch.load(run_dir / "checkpoints/best.ckpt", weights_only=True)["hyper_parameters"]
    assert json.loads(json.dumps(stored)) == stored
    assert len(stored["class_names"]) == 8
    assert stored["weights"] is None


def test_checkpoints_that_do_not_fit_are_refused(mistake: Callable[..., str], run_dir: Path, tmp_path: Path) -> None:
    best = run_dir / "checkpoints/best.ckpt"
    assert "trained with model.backbone squeezenet1_1" in mistake(
        "test", f"--ckpt_path={best}", "--model.backbone=resnet18"
    )
    (tmp_path / "torn.ckpt").write_bytes(best.read_bytes()[:5000])
    assert "damaged or no checkpoint" in mistake("test", f"--ckpt_path={tmp_path / 'torn.ckpt'}")
    torch.save({"hyper_parameters": Malicious(Path("hacked"))}, tmp_path / "evil.ckpt")
    assert "damaged or no checkpoint" in mistake("test", f"--ckpt_path={tmp_path / 'evil.ckpt'}")
    assert not Path("hacked").exists()
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    assert "no checkpoint of ImageClassifier" in mistake("test", f"--ckpt_path={tmp_path / 'other.ckpt'}")
    assert "no such file" in mistake("test", f"--ckpt_path={tmp_path / 'nothing.ckpt'}")
    assert "holds no checkpoints/best.ckpt" in mistake("test", f"--ckpt_path={tmp_path}")
    folders = tmp_path / "photos"
    for name in ("Zeppelin", "Airship"):
        (folders / "train" / name).mkdir(parents=True)
        (folders / "test" / name).mkdir(parents=True)
        (folders / "test" / name / "photo.png").write_bytes(b"never read")
    other = ["--data=datamodules.ImageFolderDataModule", f"--data.root={folders}"]
    assert "knows 8 classes, but the data has 2" in mistake("fit", f"--ckpt_path={best}", *other)
    assert "2 classes that the checkpoint doesn't know, 'Airship', 'Zeppelin'" in mistake(
        "test", f"--ckpt_path={best}", *other
    )


def test_predicting_needs_photographs(mistake: Callable[..., str], run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    checkpoint = f"--ckpt_path={run_dir}"
    assert "set data.predict_dir" in mistake("predict", checkpoint)
    assert "no images" in mistake("predict", checkpoint, f"--data.predict_dir={tmp_path / 'empty'}")
    assert "no images" in (run_dir / "predict/predictions.csv").read_text()
    (tmp_path / "empty" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    for workers in (0, 1):
        options = [checkpoint, f"--data.predict_dir={tmp_path / 'empty'}", f"--data.num_workers={workers}"]
        assert "torn.jpg: " in mistake("predict", *options)


def test_predicting_needs_no_data_set(run_dir: Path, toy_set: Path, tmp_path: Path) -> None:
    photos = toy_set / "cars_test"
    own = [
        "--config",
        str(CHECKOUT / "configs/own_photos.yaml"),
        "--model.backbone=squeezenet1_1",
        "--data.image_size=64",
    ]
    main(["predict", *own, f"--ckpt_path={run_dir}", f"--data.predict_dir={photos}", "--data.num_workers=0"])
    assert len((run_dir / "predict/predictions.csv").read_text().splitlines()) == 41
