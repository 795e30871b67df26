"""Commands that start trainings know their folder again, refuse what they can't heed, and go on after a kill."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.distributions import CategoricalDistribution

from command_line.trainings import evaluations, member_runs
from command_line.trainings.evaluations import answers_of
from command_line.trainings.plan import keep_plan
from runs.run import Run
from tests.command_line.test_doubts import painted
from train import main

__all__ = ["painted"]

Started = list[Sequence[str]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Note which trainings are started in the place of training, each of which counts as finished."""
    calls: Started = []

    def note(arguments: Sequence[str]) -> None:
        options = dict(option.split("=", 1) for option in arguments[1:] if "=" in option)
        run = Run(Path(options["--logs"], options["--experiment"], options["--name"]))
        run.folder.mkdir()
        run.history.append("began")
        run.history.append("finished")
        calls.append(arguments)

    monkeypatch.setattr(member_runs, "start_command", note)
    return calls


@pytest.fixture
def config(painted: Path, tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    data = f"data:\n  class_path: datamodules.ImageFolderDataModule\n  init_args: {{root: {painted}}}\n"
    file.write_text(f"{data}trainer: {{max_epochs: 1, accelerator: cpu}}\nmodel: {{weights: null}}\n")
    return file


def refused(*arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*arguments])
    assert isinstance(stop.value.code, str)
    return stop.value.code


def test_a_config_that_was_edited_is_not_taken_for_the_one_that_was_trained(
    config: Path, tmp_path: Path, started: Started
) -> None:
    output = tmp_path / "repeat"
    command = ["repeat", f"--config={config}", f"--output={output}", "--seeds"]
    assert "no score in common" in refused(*command, "1")
    assert len(started) == 1
    before = config.read_text()
    config.write_text(before.replace("max_epochs: 1", "max_epochs: 2"))
    told = refused(*command, "1")
    assert f"{output} holds trainings with other options" in told
    assert "trainer.max_epochs was 1 and is 2." in told
    assert len(started) == 1
    refused(*command, "1", "--trainer.max_epochs=1")  # which comes down to the same
    refused(*command, "1", "2", "--trainer.max_epochs=1")
    assert len(started) == 2
    plan = json.loads((output / "plan.json").read_text())
    assert plan["members"] == {f"seed-{seed}": [f"--seed_everything={seed}"] for seed in (1, 2)}
    assert plan["settings"]["trainer.max_epochs"] == 1


def test_a_plan_of_an_older_version_is_known_by_what_was_typed(config: Path, tmp_path: Path, started: Started) -> None:
    file = tmp_path / "repeat/plan.json"
    command = ["repeat", f"--config={config}", f"--output={file.parent}", "--seeds=[1]"]
    refused(*command)
    plan = json.loads(file.read_text())
    settings = plan.pop("settings")
    file.write_text(json.dumps(plan))
    assert "what was typed was" in refused(*command, "--trainer.max_epochs=2")
    assert "no score in common" in refused(*command)
    assert json.loads(file.read_text())["settings"] == settings
    assert len(started) == 1


def test_a_space_that_was_edited_is_named(tmp_path: Path) -> None:
    plan = {"options": [], "settings": {}, "space": {"a": "1", "b": "2"}}
    keep_plan(plan, tmp_path / "sweep")
    with pytest.raises(Exception, match=r"a was 1 and is null\. Repeat"):
        keep_plan({**plan, "space": {"b": "2"}}, tmp_path / "sweep")


def test_a_search_that_begins_at_the_same_moment_is_no_other_use_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {"options": ["--a=1"], "settings": {"a": 1}, "space": {}}
    (tmp_path / ".plan.json.x7f").touch()  # the draft of another process
    keep_plan(plan, tmp_path)
    assert json.loads((tmp_path / "plan.json").read_text()) == plan
    (tmp_path / "plan.json").unlink()
    listed = Path.iterdir

    def late(folder: Path) -> Iterator[Path]:
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", late)
    keep_plan(plan, tmp_path)


@pytest.mark.parametrize("command", [["repeat", "--seeds=[1]"], ["doubts"], ["sweep"]])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--name=mine", "leave --name out"),
        ("--logs=elsewhere", "leave --logs out"),
        ("--trainer.fast_dev_run=true", "trainer.fast_dev_run is true"),
        ("--lr_finder.enabled=true", "lr_finder.enabled is true"),
        ("--batch_size_finder.enabled=true", "batch_size_finder.enabled is true"),
    ],
)
def test_options_that_could_have_no_effect_are_refused(
    config: Path, tmp_path: Path, command: list[str], option: str, said: str
) -> None:
    output = tmp_path / "trainings"
    assert said in refused(*command, f"--config={config}", f"--output={output}", option)
    assert not output.exists()


def test_a_search_takes_an_experiment_for_its_best_config_and_others_take_none(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [f"--config={config}", f"--output={tmp_path / 'trainings'}", "--experiment=mine"]
    for command in (["fit", "--seeds=[1]"], ["doubts"]):
        told = refused(*command, *options)
        assert f"the folder that --output names ({tmp_path / 'trainings'}): leave --experiment out" in told
    monkeypatch.setattr("command_line.tools.sweep._train_trials", lambda *_: None)
    main(["sweep", *options, "--trials=1"])


@pytest.mark.parametrize("command", ["check", "preview", "convert"])
@pytest.mark.parametrize("name", ["name", "experiment", "logs"])
def test_commands_that_begin_no_run_take_no_names_of_runs(
    config: Path, tmp_path: Path, command: str, name: str
) -> None:
    output = tmp_path / "written"
    told = refused(command, f"--config={config}", f"--output={output}", f"--{name}=mine")
    assert f"{command} begins no run, and writes what --output names ({output}): leave --{name} out." in told
    assert not output.exists()


@pytest.mark.parametrize("command", [["repeat", "--seeds=[1]"], ["sweep"]])
def test_scores_that_will_not_be_written_cannot_be_compared(config: Path, tmp_path: Path, command: list[str]) -> None:
    told = refused(*command, f"--config={config}", f"--output={tmp_path / 'trainings'}", "--scores.enabled=false")
    assert "scores.enabled is false" in told
    assert not (tmp_path / "trainings").exists()


def test_a_training_that_ends_unfinished_ends_the_command(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_runs, "start_command", lambda _: None)
    assert "has ended, but isn't finished" in refused(
        "repeat", f"--config={config}", f"--output={tmp_path / 'repeat'}", "--seeds=[1]"
    )


def test_a_change_of_a_long_value_is_shown(tmp_path: Path) -> None:
    before, now = (CategoricalDistribution([f"network{number}" for number in range(size)]) for size in (9, 10))
    keep_plan({"options": [], "settings": {}, "space": {"model.backbone": repr(before)}}, tmp_path)
    expected = r"model.backbone was \.\.\.[^.]*'network8'\) and is \.\.\.[^.]*, 'network9'\)\. Repeat"
    with pytest.raises(Exception, match=expected):
        keep_plan({"options": [], "settings": {}, "space": {"model.backbone": repr(now)}}, tmp_path)


def evaluate(folder: Path, root: str, checkpoint: str = "best.ckpt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(f"data: {{init_args: {{root: {root}}}}}\n")
    (folder / "val_scores.json").write_text(json.dumps({"checkpoint": f"checkpoints/{checkpoint}"}))
    (folder / "predictions.csv").touch()
    return folder / "predictions.csv"


@pytest.fixture
def trained(tmp_path: Path) -> Run:
    run = Run(tmp_path / "fold-1")
    run.checkpoints.mkdir(parents=True)
    (run.checkpoints / "best.ckpt").touch()
    (tmp_path / "photos").mkdir()
    run.history.append("began", directory=str(tmp_path))
    (run.folder / "config.yaml").write_text("data: {init_args: {root: photos}}\n")
    return run


@pytest.fixture
def asked(trained: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count evaluations that are asked for, each of which goes into the next free folder."""
    commands: list[Sequence[str]] = []

    def start(arguments: Sequence[str]) -> None:
        commands.append(arguments)
        folder = next(folder for folder in trained.evaluation_folders(arguments[0]) if not folder.exists())
        evaluate(folder, "photos")

    monkeypatch.setattr(evaluations, "start_command", start)
    return lambda: len(commands)


def test_an_evaluation_that_was_killed_is_made_again(trained: Run, asked: Callable[[], int]) -> None:
    (trained.folder / "validate").mkdir()
    (trained.folder / "validate/config.yaml").write_text("data: {init_args: {root: photos}}\n")
    for _ in range(2):
        assert answers_of(trained) == trained.folder / "validate-2/predictions.csv"
    assert asked() == 1


def test_answers_are_those_of_the_best_checkpoint_to_the_runs_own_data(
    trained: Run, asked: Callable[[], int], tmp_path: Path
) -> None:
    evaluate(trained.folder / "validate", "others")
    evaluate(trained.folder / "validate-2", "photos", "last.ckpt")
    assert answers_of(trained) == trained.folder / "validate-3/predictions.csv"
    newest = evaluate(trained.folder / "validate-10", f"{tmp_path}/photos/")  # asked for from another directory
    evaluate(trained.folder / "validate-9", "photos")
    assert answers_of(trained) == newest
    (trained.checkpoints / "best.ckpt").unlink()  # to have space on the disk
    assert answers_of(trained) == newest
    assert asked() == 1


def test_an_evaluation_that_leaves_no_answers_is_told(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "start_command", lambda _: None)
    with pytest.raises(Exception, match=r"validate has written no predictions\.csv in .*fold-1"):
        answers_of(trained)


def test_a_stop_is_heeded_though_the_training_ends_as_if_it_was_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready"
    program = (
        "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    child = SimpleNamespace(Popen=lambda _: subprocess.Popen([sys.executable, "-c", program]))
    monkeypatch.setattr(member_runs, "subprocess", child)

    def stop() -> None:
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=stop)
    asking.start()
    with pytest.raises(SystemExit) as ended:
        member_runs.start_command(["fit"])
    asking.join()
    assert ended.value.code == 128 + signal.SIGTERM
