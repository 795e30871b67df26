"""``fit PHOTOS``, ``check PHOTOS``: a data set in the place of a config."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from command_line.arguments.data_word import holds_data
from command_line.arguments.request import read_request
from datamodules import ToyCarsDataModule
from datamodules.chunks.conversion import convert
from datamodules.remote.storage import Storage
from runs.run import Run
from train import main

SMALL = [
    *("--data.image_size=64", "--data.batch_size=8", "--data.num_workers=0", "--model.weights=null"),
    *(
        "--model.backbone=squeezenet1_1",
        "--model.cosine_scale=null",
        "--trainer.max_epochs=1",
        "--trainer.enable_progress_bar=false",
    ),
    *("--previews.enabled=false", "--report.enabled=false"),
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of ten pictures."""
    draw = np.random.default_rng(0)
    for name, colour in {"red": (0, 0, 200), "blue": (200, 0, 0)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            picture = np.clip(draw.normal(colour, 40, (70, 90, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / name / f"{number}.png"), picture)
    return tmp_path / "photos"


def options_of(*typed: str) -> list[str]:
    with ExitStack() as afterwards:
        return read_request(typed, afterwards).arguments


def configs_of(*typed: str) -> list[str]:
    return [Path(option.partition("=")[2]).name for option in options_of(*typed) if option.startswith("--config=")]


@pytest.mark.slow
def test_a_folder_of_photographs_is_all_that_a_training_needs(photos: Path, tmp_path: Path) -> None:
    logs = f"--logs={tmp_path / 'logs'}"
    main(["fit", str(photos), *SMALL, logs])
    run = tmp_path / "logs/own_photos/version_0"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["init_args"]["root"] == str(photos)
    assert config["model"]["optimizer"] == "adamw"  # as configs/own_photos.yaml has it
    main(["fit", str(run), "--trainer.max_epochs=2"])  # what is a run continues, as ever
    assert [event.kind for event in Run(run).history.events()].count("resumed") == 1
    main(["test", str(run)])
    assert (run / "test/test_scores.json").is_file()


@pytest.mark.slow
def test_commands_that_start_trainings_hand_it_on(photos: Path, tmp_path: Path) -> None:
    main(["repeat", str(photos), "--seeds", "1", "2", *SMALL, f"--output={tmp_path / 'repeat'}"])
    configs = [yaml.safe_load(file.read_text()) for file in sorted((tmp_path / "repeat").glob("*/config.yaml"))]
    assert [config["seed_everything"] for config in configs] == [1, 2]
    assert {config["data"]["init_args"]["root"] for config in configs} == {str(photos)}


def test_commands_that_look_at_data(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(photos), f"--output={tmp_path / 'check'}"])
    assert "20" in capsys.readouterr().out
    main(["preview", str(photos), f"--output={tmp_path / 'preview.png'}", "--data.image_size=64"])
    assert (tmp_path / "preview.png").is_file()


def test_the_config_suits_the_data_set(
    photos: Path, toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert configs_of("fit", str(photos)) == ["own_photos.yaml"]
    (tmp_path / "cars.csv").write_text("path,label\nphotos/red/0.png,red\n")
    assert configs_of("fit", str(tmp_path / "cars.csv")) == ["own_photos.yaml"]
    toys = toy_data()
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/cars").symlink_to(toys.folder)
    for folder in (toys.folder, tmp_path / "archive"):
        assert configs_of("check", str(folder)) == ["stanford_cars.yaml"]
    toys.prepare_data()
    convert(toys, str(tmp_path / "chunks"))
    assert configs_of("fit", str(tmp_path / "chunks")) == ["own_photos.yaml", "streaming.yaml"]
    monkeypatch.setattr(Storage, "exists", lambda _, name: name in ("", "classes.txt"))
    assert configs_of("fit", "s3://bucket/cars") == ["own_photos.yaml", "streaming.yaml"]
    monkeypatch.setattr(Storage, "exists", lambda _, name: not name)
    assert configs_of("fit", "s3://bucket/cars") == ["own_photos.yaml"]
    assert options_of("fit", "s3://bucket/cars")[-1] == "--data.root=s3://bucket/cars"


def test_a_config_with_data_of_its_own_stands_alone_and_others_are_added(photos: Path) -> None:
    assert configs_of("fit", str(photos), "--config", "configs/backbone/resnet18.yaml") == ["own_photos.yaml"]
    assert "configs/backbone/resnet18.yaml" in options_of(
        "fit", str(photos), "--config", "configs/backbone/resnet18.yaml"
    )
    assert configs_of("fit", str(photos), "--config=configs/demo.yaml") == ["demo.yaml"]


def test_mistakes_get_one_line(photos: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for typed, expected in {
        ("check", "nowhere"): "nowhere doesn't exist: check takes the folder of a data set, or a table.",
        ("check", "configs/demo.yaml"): "Did you mean --config configs/demo.yaml?",
        ("preview", str(empty)): f"{empty} holds no photographs and no table: preview takes",
        ("check", str(photos), str(empty)): "check takes one data set, but there are 2",
        ("fit", str(photos), str(empty)): "fit takes one run, but there are 2",
        ("fit", str(photos), "--data.root=elsewhere"): "or by --data.root: leave one out",
        ("fit", str(empty)): "is neither a run nor a data set: it holds no history, no checkpoints and no photographs",
        (
            "fit",
            f"{photos}s",
        ): f"There is no run or data set {photos}s: give the folder of one, a table, a checkpoint or a "
        f"URL. Did you mean '{photos}'?",
        ("test", str(photos)): f"is a data set, not a run: write test RUN --data.root {photos}.",
        ("predict", str(photos)): f"is a data set, not a run: write predict RUN {photos}.",
        ("export", str(photos)): "is a data set, not a run: write export RUN.",
    }.items():
        with pytest.raises(SystemExit) as stop:
            main([*typed])
        assert expected in str(stop.value.code), typed
        assert "\n" not in str(stop.value.code)


def test_folders_of_runs_are_no_data(tmp_path: Path) -> None:
    run = tmp_path / "logs/demo/version_0"
    (run / "test").mkdir(parents=True)
    (run / "history.jsonl").write_text("")
    (run / "preview.png").write_bytes(b"")
    assert not holds_data(str(run))
    assert not holds_data(str(tmp_path / "logs/demo"))
    assert not holds_data(str(tmp_path / "logs"))


def test_pictures_count_by_their_content(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, file in enumerate(sorted(photos.rglob("*.png"))):
        file.rename(file.with_suffix((".jfif", ".png_large", "")[number % 3]))
    assert holds_data(str(photos))
    main(["check", str(photos), f"--output={tmp_path / 'check'}"])
    assert "20 images of 2 classes" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fit", "check", "test", "predict"])
def test_a_name_without_letters_is_no_folder(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"{command} was given an empty name, as of a variable that isn't set"):
        main([command, ""])


@pytest.mark.parametrize("command", ["fit", "check", "test", "explain"])
def test_names_that_no_disk_takes_are_answered_in_one_sentence(command: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "a" * 300])
    assert isinstance(stop.value.code, str)
    assert "a" * 300 in stop.value.code


def test_a_picture_counts_however_many_other_files_are_listed_before_it(tmp_path: Path) -> None:
    for number in range(10_001):
        (tmp_path / f"{number}.txt").touch()
    assert not holds_data(str(tmp_path))
    (tmp_path / "zz.jpg").touch()
    assert holds_data(str(tmp_path))
