"""What exists is never begun anew or overwritten, and what fails leaves nothing behind."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.history import History, is_running
from tests.runs.test_resume import last_checkpoint
from tests.support.interruptions import interrupted
from tests.support.processes import TIMEOUT, outcome, start
from tests.support.run_files import checksums, tensorboard_curves
from tests.support.short_runs import QUICK, Fit
from train import main

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
