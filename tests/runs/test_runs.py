"""A run is one thing: named, found, tested, continued, and never overwritten by another."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
import yaml
from torch.utils.tensorboard import SummaryWriter

from runs.curves import read_curve
from runs.finding import find_runs, run_of, runs_of
from runs.history import History, is_running
from runs.run import Run
from tests.runs.test_resume import last_checkpoint
from tests.support.interruptions import interrupted
from tests.support.processes import TIMEOUT, outcome, start
from tests.support.run_files import checksums, csv_curves, tensorboard_curves
from train import main

Fit = Callable[..., Path]
QUICK = ["--previews.enabled=false", "--tta.enabled=false"]
HARD_NAMES = ["with blank, ümläut-試", "-a.b=c 100% {epoch}", "nested/version_7", "a: [b"]


@pytest.fixture
def fit(run: Callable[..., None], tmp_path: Path) -> Fit:
    """Train a run with a name, for one epoch: ``fit("trial_a")`` returns its folder."""

    def call(name: str, *extra: str) -> Path:
        run("fit", *QUICK, "--trainer.max_epochs=1", f"--name={name}", *extra)
        return tmp_path / "logs/demo" / name

    return call


def scores(folder: Path) -> dict[str, float | str]:
    found: dict[str, float | str] = json.loads((folder / "test_scores.json").read_text())
    return found


def epoch_of(folder: Path, name: str = "last") -> int:
    return int(torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)["epoch"])


# What a new user met, a sentence each.


@pytest.mark.parametrize("keyword", ["best", "last"])
def test_best_and_last_are_those_of_the_run_whose_config_is_given(fit: Fit, keyword: str) -> None:
    first, second = fit("version_0"), fit("version_1")
    before = checksums(second)
    main(["test", "--config", str(first / "config.yaml"), "--ckpt_path", keyword, *QUICK])
    assert scores(first / "test")["checkpoint"] == str(first / f"checkpoints/{keyword}.ckpt")
    assert checksums(second) == before
    main(["fit", "--config", str(first / "config.yaml"), "--ckpt_path=last", "--trainer.max_epochs=2"])
    assert (epoch_of(first), epoch_of(second)) == (1, 0)
    assert checksums(second) == before


@pytest.mark.slow
def test_training_from_the_checkpoint_of_another_run_leaves_that_alone(
    fit: Fit, run: Callable[..., None], tmp_path: Path
) -> None:
    other = fit("other")
    before = checksums(other)
    more = ["--trainer.max_epochs=2", *QUICK]
    run("fit", f"--ckpt_path={other / 'checkpoints/best.ckpt'}", "--trainer.logger.init_args.name=mine", *more)
    run("fit", f"--ckpt_path={other / 'checkpoints/last.ckpt'}", *more)
    run("fit", f"--ckpt_path={other}", "--name=third", *more)
    for folder in ("mine/version_0", "demo/version_0", "demo/third"):
        assert epoch_of(tmp_path / "logs" / folder) == 1
        assert min(tensorboard_curves(tmp_path / "logs" / folder)["train/loss"]) == 4  # the second epoch alone
    assert checksums(other) == before


def test_a_new_run_needs_epochs_that_its_checkpoint_does_not_have(
    fit: Fit, mistake: Callable[..., str], tmp_path: Path
) -> None:
    first = fit("first")
    message = mistake("fit", str(first), "--name=second", "--trainer.max_epochs=1")
    assert "last.ckpt was trained for 1 epoch, and trainer.max_epochs is 1" in message
    assert not (tmp_path / "logs/demo/second").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_name_of_any_kind_goes_on_and_is_tested_also_when_it_is_renamed(
    fit: Fit, run: Callable[..., None], tmp_path: Path, name: str
) -> None:
    folder = fit(name)
    assert (folder / "checkpoints/last.ckpt").is_file()
    run("fit", "--trainer.max_epochs=2", f"--name={name}", "--ckpt_path=last", *QUICK)
    assert epoch_of(folder) == 1
    moved = tmp_path / "elsewhere" / f"{folder.name} renamed"
    moved.parent.mkdir()
    folder.rename(moved)
    main(["fit", str(moved), "--trainer.max_epochs=3"])
    main(["test", str(moved)])
    assert epoch_of(moved) == 2
    assert len(tensorboard_curves(moved)["train/loss"]) == 12
    assert scores(moved / "test")["checkpoint"] == str(moved / "checkpoints/best.ckpt")
    assert [run.folder for run in find_runs(tmp_path)] == [moved]
    assert not folder.exists()


def test_an_evaluation_keeps_the_curves_of_a_csv_logger(fit: Fit) -> None:
    folder = fit("trial_a", "--trainer.logger=lightning.pytorch.loggers.CSVLogger")
    before = csv_curves(folder)
    main(["test", str(folder)])
    assert csv_curves(folder) == before
    assert csv_curves(folder / "test").keys() >= {"test/accuracy"}


# One argument.


def test_a_run_brings_its_config_and_options_win_each_only_itself(fit: Fit) -> None:
    folder = fit("trial_a", "--model.label_smoothing=0.2", "--data.batch_size=8")
    main(["test", str(folder), "--data.batch_size=4", "--tta.enabled=true"])
    trained, tested = (yaml.safe_load((path / "config.yaml").read_text()) for path in (folder, folder / "test"))
    assert tested["data"]["init_args"].pop("batch_size") == 4
    assert trained["data"]["init_args"].pop("batch_size") == 8
    assert (tested["tta"].pop("enabled"), trained["tta"].pop("enabled")) == (True, False)
    tested["model"].pop("weights"), trained["model"].pop("weights")
    assert {key: tested[key] for key in trained if key in tested} == {key: trained[key] for key in trained}
    assert trained["model"]["label_smoothing"] == 0.2


def test_paths_below_the_working_directory_stay_relative(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fit("trial_a")
    monkeypatch.chdir(tmp_path)
    main(["test", "logs/demo/trial_a"])
    assert scores(folder / "test")["checkpoint"] == "logs/demo/trial_a/checkpoints/best.ckpt"


def test_a_resumed_run_goes_on_with_what_it_was_last_told(fit: Fit) -> None:
    folder = fit("trial_a")
    original = (folder / "config.yaml").read_bytes()
    main(["fit", str(folder), "--trainer.max_epochs=3", "--trainer.limit_train_batches=1"])
    assert (folder / "config.yaml").read_bytes() == original
    assert yaml.safe_load((folder / "resume-config.yaml").read_text())["trainer"]["max_epochs"] == 3
    main(["fit", str(folder)])  # nothing is left to do
    assert epoch_of(folder) == 2
    assert [event.kind for event in History(folder / "history.jsonl").events()] == [
        *("began", "finished", "resumed", "finished", "resumed", "finished")
    ]


def test_a_checkpoint_alone_is_enough(
    fit: Fit, tmp_path: Path, toy_root: Path, toy_set: Path, mistake: Callable[..., str]
) -> None:
    folder = fit("trial_a")
    main(["test", str(folder)])
    file = tmp_path / "machine/mine.ckpt"
    file.parent.mkdir()
    shutil.copy(folder / "checkpoints/best.ckpt", file)
    shutil.rmtree(folder / "checkpoints")
    logs = f"--logs={tmp_path / 'there'}"
    photographs = sorted((toy_set / "cars_test").iterdir())[:3]
    main(["predict", str(file), *map(str, photographs), logs])
    rows = (tmp_path / "there/mine/predict/predictions.csv").read_text().splitlines()
    assert len(rows) == 4
    main(["test", str(file), f"--data.root={toy_root}", logs])
    tested = scores(tmp_path / "there/mine/test")
    assert {**tested, "checkpoint": ""} == {**scores(folder / "test"), "checkpoint": ""}


def test_a_checkpoint_of_a_stranger_names_no_classes_of_strangers(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fit("trial_a")
    content = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    content["config"] = content["config"].replace("datamodules.ToyCarsDataModule", "strange.Data")
    torch.save(content, tmp_path / "strange.ckpt")
    (tmp_path / "strange.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit, match=r"names strange\.Data"):
        main(["test", str(tmp_path / "strange.ckpt"), f"--logs={tmp_path}"])
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "There is no run nowhere"),
        (["configs/demo.yaml"], "write --config configs/demo.yaml"),
        (["docs/figures/toy_cars.jpg"], "is neither a run nor a checkpoint: test takes one of them first"),
        (["{logs}/demo/trial_b"], "Did you mean '{logs}/demo/trial_a'?"),
        (["{logs}/demo"], "it holds the runs {logs}/demo/trial_a"),
        (["{logs}/demo/trial_a", "{logs}/demo/trial_a"], "test takes one run, but there are 2"),
        (["{logs}/demo/trial_a/config.yaml", "--ckpt_path=other.ckpt"], "no such file"),
        (["{logs}/demo/trial_a", "--name=trial_b"], "{logs}/demo/trial_a, and --name is trial_b: leave one of them"),
    ],
)
def test_what_is_no_run_is_named(fit: Fit, tmp_path: Path, words: list[str], expected: str) -> None:
    fit("trial_a")
    logs = str(tmp_path / "logs")
    with pytest.raises(SystemExit) as stop:
        main(["test", *(word.format(logs=logs) for word in words)])
    assert expected.format(logs=logs) in str(stop.value.code)


def test_curves_of_a_run_that_was_killed_and_continued_are_read_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for steps, purge in (((1, 2, 3, 4), None), ((3, 4, 5), 3)):
        with SummaryWriter(tmp_path, purge_step=purge) as writer:
            for step in steps:
                writer.add_scalar("val/f1", step / 10, step)
        time.sleep(1.1)  # files are named and ordered by the second
    assert [*read_curve(tmp_path, "val/f1")] == [1, 2, 3, 4, 5]
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_a_continued_run_keeps_the_weights_that_it_began_from_in_its_config(fit: Fit, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), weights)
    folder = fit("trial", f"--model.weights={weights}")
    weights.unlink()  # which is needed for a new run alone
    main(["fit", str(folder), "--trainer.max_epochs=2", *QUICK])
    main(["test", str(folder), *QUICK])
    for name in ("config.yaml", "resume-config.yaml", "test/config.yaml"):
        assert yaml.safe_load((folder / name).read_text())["model"]["weights"] == str(weights)
    with pytest.raises(SystemExit, match=r"model\.weights is .*no such file"):
        main(["fit", "--config", str(folder / "resume-config.yaml"), f"--logs={tmp_path / 'new'}"])


# Names, and what exists.


@pytest.mark.slow
def test_what_exists_is_never_begun_anew(fit: Fit, mistake: Callable[..., str], tmp_path: Path) -> None:
    folder = fit("trial_a")
    before = checksums(folder)
    for option in ("--name=trial_a", "--trainer.logger.init_args.version=trial_a"):
        answer = mistake("fit", option)
        assert f"train.py fit {folder} goes on with it" in answer
    assert checksums(folder) == before
    for name in ("", ".", "../demo", "/etc", "~/mine", "s3://bucket", "$HOME"):
        assert "--name is" in mistake("fit", f"--name={name}")
    assert checksums(tmp_path / "logs/demo") == {f"trial_a/{name}": digest for name, digest in before.items()}


def test_a_mistake_leaves_no_folder_behind(mistake: Callable[..., str], tmp_path: Path) -> None:
    mistake("fit", "--name=trial_a", "--model.backbone=resnet19")
    assert not (tmp_path / "logs/demo/trial_a").exists()


@pytest.mark.drawn
@pytest.mark.slow
def test_an_older_evaluation_is_never_overwritten(fit: Fit, tmp_path: Path) -> None:
    folder = fit("trial_a")
    kept: dict[str, str] = {}
    for command in ("test", "test", "validate", "test"):
        main([command, str(folder)])
        now = checksums(folder)
        assert {name: now[name] for name in kept} == kept
        kept = now
    assert {"test", "test-2", "test-3", "validate"} <= {path.name for path in folder.iterdir()}
    main(["test", str(folder), f"--output={tmp_path / 'mine'}"])
    assert {"config.yaml", "test_scores.json", "test_report.csv"} <= {
        path.name for path in (tmp_path / "mine").iterdir()
    }
    with pytest.raises(SystemExit, match="--output is .*mine, which exists already"):
        main(["test", str(folder), f"--output={tmp_path / 'mine'}"])
    assert checksums(folder) == kept


def test_an_evaluation_that_fails_leaves_no_folder_behind(fit: Fit, tmp_path: Path) -> None:
    folder = fit("trial_a")
    before = checksums(folder)
    with pytest.raises(SystemExit, match="predict needs photographs"):
        main(["predict", str(folder)])
    with pytest.raises(SystemExit, match="data.root is .*nowhere"):
        main(["test", str(folder), "--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path / 'nowhere'}"])
    assert checksums(folder) == before
    assert not [*folder.glob("test*"), *folder.glob("predict*")]


@pytest.mark.slow
def test_a_run_that_is_being_trained_is_left_alone(arguments: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "logs/demo/trial_a"
    process = start(["fit", *arguments, *QUICK, "--trainer.max_epochs=1000", "--name=trial_a"])
    while not (folder / "checkpoints/last.ckpt").exists():
        assert process.is_alive()
        time.sleep(0.05)
    assert is_running(folder)
    with pytest.raises(SystemExit, match=f"Another process is training {folder}"):
        main(["fit", str(folder)])
    process.terminate()
    process.join(TIMEOUT)
    assert process.exitcode == 128 + signal.SIGTERM
    assert not is_running(folder)
    assert not list(folder.glob(".*"))
    stopped = History(folder / "history.jsonl").last()
    assert stopped is not None
    assert stopped.kind == "stopped"
    assert stopped.facts["step"] == last_checkpoint(folder)["global_step"]


@pytest.mark.slow
def test_two_processes_that_begin_at_once_take_two_folders(arguments: list[str], tmp_path: Path) -> None:
    processes = [start(["fit", *arguments, *QUICK, "--trainer.max_epochs=1"]) for _ in range(2)]
    for process in processes:
        process.join(TIMEOUT)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "logs/demo").iterdir()) == ["version_0", "version_1"]
    for folder in (tmp_path / "logs/demo").iterdir():
        assert len(tensorboard_curves(folder)["train/loss"]) == 4


@pytest.mark.slow
def test_a_named_run_that_was_killed_before_it_saved_begins_in_its_folder(arguments: list[str], tmp_path: Path) -> None:
    fit = ["fit", *arguments, *QUICK, "--name=trial_a", "--ckpt_path=last"]
    assert outcome([*fit, *interrupted("writing", 0)]) == -signal.SIGKILL
    assert outcome(fit) == 0
    assert [path.name for path in (tmp_path / "logs/demo").iterdir()] == ["trial_a"]
    assert len(tensorboard_curves(tmp_path / "logs/demo/trial_a")["train/loss"]) == 8


# Finding.


def test_runs_are_found_by_what_is_in_them(tmp_path: Path) -> None:
    for number, name in enumerate(("version_2", "version_10", "mine", "deep/er/run")):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "test").mkdir()
        (tmp_path / name / "history.jsonl").write_text(f'{{"event": "began", "time": {number}}}\n{{"torn')
    (tmp_path / "no_run").mkdir()
    assert [run.name for run in runs_of(tmp_path)] == ["mine", "version_10", "version_2"]
    assert {run.folder for run in find_runs(tmp_path)} == {
        tmp_path / name for name in ("version_2", "version_10", "mine", "deep/er/run")
    }
    for path in ("", "checkpoints/best.ckpt", "test", "test/config.yaml", "config.yaml", "test-config.yaml"):
        if path.endswith(".yaml"):
            (tmp_path / "mine" / path).touch()
        assert run_of(tmp_path / "mine" / path) == Run(tmp_path / "mine")
    assert run_of(tmp_path / "no_run") is None
    assert runs_of(tmp_path / "nowhere") == []


def test_the_data_of_a_run_are_found_from_another_directory(
    toy_root: Path, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here/data").mkdir(parents=True)
    (tmp_path / "here/data/cars").symlink_to(toy_root)
    (tmp_path / "there/data").mkdir(parents=True)
    relative = [argument for argument in arguments if not argument.startswith("--data.root=")]
    monkeypatch.chdir(tmp_path / "here")
    main(["fit", *relative, "--data.root=data/cars", *QUICK, "--trainer.max_epochs=1", "--name=trial_a"])
    folder = tmp_path / "logs/demo/trial_a"
    monkeypatch.chdir(tmp_path / "there")
    main(["test", str(folder)])
    assert (folder / "test/test_scores.json").is_file()
    assert not list((tmp_path / "there/data").iterdir())  # no cars are drawn here
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").rename(tmp_path / "moved")  # a project with its data
    monkeypatch.chdir(tmp_path / "moved")
    main(["test", str(folder)])
    main(["test", str(folder), f"--data.root={toy_root}"])
