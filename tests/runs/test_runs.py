"""A run is one thing: found by what is in it, tested and continued as itself, with no other touched."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from runs.curves import read_curve
from runs.finding import find_runs, run_of, runs_of
from runs.run import Run
from tests.support.run_files import checksums, csv_curves, tensorboard_curves
from tests.support.short_runs import QUICK, Fit, epoch_of, scores
from train import main

HARD_NAMES = ["with blank, ümläut-試", "-a.b=c 100% {epoch}", "nested/version_7", "a: [b"]


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
