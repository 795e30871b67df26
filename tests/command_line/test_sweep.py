"""``sweep`` searches with Optuna, ends what falls behind, continues what was killed, and writes what it found."""

import csv
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from command_line.sweeping.claims import FileClaims
from command_line.sweeping.report import report
from command_line.sweeping.search import Search
from command_line.sweeping.space import Space, corners, read_space, values_in
from runs.curves import Curve
from runs.run import Run
from tests.support.processes import ServedCommand, forked
from train import main

CONFIG = {"seed_everything": 1, "checkpoint.monitor": "val/loss", "checkpoint.mode": None}
SPACE = "model.learning_rate: {low: 0.0001, high: 0.01, log: true}\ndata.batch_size: [8, 16]\n"


@pytest.fixture
def space(tmp_path: Path) -> Path:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    return file


def command(toy_root: Path, space: Path, output: Path, *extra: str) -> list[str]:
    return [
        "sweep", f"--data.root={toy_root}", "--data.image_size=32", "--data.num_workers=0", "--data.batch_size=16",
        "--model.backbone=squeezenet1_1", "--model.weights=null", "--model.warmup_epochs=0", "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--previews.enabled=false",
        "--data.train_images=10", "--data.test_images=5",
        "--report.enabled=false", f"--space={space}", f"--output={output}", *extra,
    ]  # fmt: skip


def start(arguments: list[str]) -> ServedCommand:
    return ServedCommand([sys.executable, "train.py", *arguments], leader=True)


def wait_for(condition: Callable[[], bool], process: ServedCommand) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_search_goes_on_and_two_commands_share_it(toy_root: Path, space: Path, tmp_path: Path) -> None:
    output = tmp_path / "sweep"
    arguments = command(
        toy_root,
        space,
        output,
        "--trials=3",
        "--trainer.max_epochs=12",
        "--early_stopping.patience=null",
        "--pruning=false",
    )
    killed = start(arguments)
    first = Run(output / "trial-1")
    wait_for(lambda: first.find_checkpoint("last") is not None, killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (output / "trials.csv").exists()

    both = [start(arguments) for _ in range(2)]
    for process in both:
        assert process.wait(240) == 0
    assert [event.kind for event in first.history.events()] == ["began", "resumed", "finished"]
    with (output / "trials.csv").open(newline="") as rows:
        trials = list(csv.DictReader(rows))
    assert sorted(row["run"] for row in trials) == ["trial-1", "trial-2", "trial-3"]
    assert {row["state"] for row in trials} == {"finished"}
    assert {row["epochs"] for row in trials} == {"12"}
    started = next(row for row in trials if row["run"] == "trial-1")
    assert (float(started["model.learning_rate"]), started["data.batch_size"]) == (0.001, "16")  # the config's own
    rate = yaml.safe_load((output / "best.yaml").read_text())["model"]["learning_rate"]
    highest = max(float(row["val/f1"]) for row in trials)  # which several may have reached
    best = next(row for row in trials if float(row["model.learning_rate"]) == pytest.approx(rate, rel=1e-3))
    assert float(best["val/f1"]) == highest

    main(["fit", f"--config={output / 'best.yaml'}", f"--logs={tmp_path}", "--experiment=again", "--name=best"])
    scores = []
    for run in (tmp_path / "again/best", output / best["run"]):
        scores.append(json.loads((run / "fit_scores.json").read_text()))
        del scores[-1]["checkpoint"]
    assert scores[0] == scores[1]
    assert scores[0]["val/f1"] == pytest.approx(float(best["val/f1"]))


@pytest.mark.slow
def test_a_training_that_outlives_its_search_is_waited_for(toy_root: Path, space: Path, tmp_path: Path) -> None:
    output = tmp_path / "sweep"
    arguments = command(
        toy_root, space, output, "--trials=1", "--trainer.max_epochs=40", "--early_stopping.patience=null"
    )
    killed = start(arguments)
    first = Run(output / "trial-1")
    wait_for(lambda: first.find_checkpoint("last") is not None, killed)
    os.kill(killed.pid, signal.SIGKILL)  # but not its training
    killed.wait()
    assert start(arguments).wait(240) == 0
    assert [event.kind for event in first.history.events()] == ["began", "finished"]
    with (output / "trials.csv").open(newline="") as rows:
        (trial,) = csv.DictReader(rows)
    assert (trial["run"], trial["state"]) == ("trial-1", "finished")


@pytest.mark.slow
def test_an_interruption_of_the_search_alone_reaches_its_training(
    toy_root: Path, space: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "sweep"
    search = start(command(toy_root, space, output, "--trials=2", "--trainer.max_epochs=1000", "--pruning=false"))
    first = Run(output / "trial-1")
    wait_for(lambda: first.find_checkpoint("last") is not None, search)
    os.kill(search.pid, signal.SIGINT)
    assert search.wait(60) == 128 + signal.SIGTERM  # which it passes on
    assert [event.kind for event in first.history.events()] == ["began", "stopped"]
    assert not (output / "trial-2").exists()
    assert "to continue all of it, repeat: " in capfd.readouterr().out


@pytest.mark.slow
def test_what_falls_behind_is_ended_and_a_failing_start_ends_the_search(
    toy_root: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "sweep"
    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda: optuna.pruners.ThresholdPruner(lower=2.0))
    main(command(toy_root, space, output, "--trials=1", "--trainer.max_epochs=1000"))
    with (output / "trials.csv").open(newline="") as rows:
        (trial,) = csv.DictReader(rows)
    assert trial["state"] == "pruned"
    assert 1 <= int(trial["epochs"]) < 1000
    assert not (output / "best.yaml").exists()
    with pytest.raises(SystemExit) as stop:
        main(command(toy_root, space, tmp_path / "other", "--trials=2", "--model.weights=missing.pt"))
    assert "trial-1 failed" in str(stop.value.code)
    assert "missing.pt" in capfd.readouterr().err


@pytest.fixture
def search(tmp_path: Path, space: Path) -> Search:
    return Search(CONFIG, ["--x=1"], read_space(space), True, tmp_path)


def scripted(losses: Callable[[int], list[float]]) -> Callable[..., str]:
    """Stand in for trainings: each writes its losses epoch by epoch."""
    numbers = iter(range(1000))

    def train(run: Run, options: list[str], score: str, falls_behind: Callable[[Curve], bool]) -> str:
        values = losses(next(numbers))
        for epoch in range(1, len(values) + 1):
            if falls_behind({10 * step: values[step] for step in range(epoch)}):
                return "pruned"
        run.folder.mkdir(exist_ok=True)
        (run.folder / "fit_scores.json").write_text(json.dumps({score: values[-1]}))
        (run.folder / "config.yaml").write_text(
            "seed_everything: 1\nlogs: a\nexperiment: b\nname: c\nmodel:\n  name: d\n"
        )
        return "finished"

    return train


def test_the_median_prunes_and_the_best_is_reported(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def losses(number: int) -> list[float]:
        return [9.0, 9.0, 9.0] if number == 7 else [3.0, 2.0, 1.0 - number / 100]

    monkeypatch.setattr("command_line.sweeping.search.train_trial", scripted(losses))
    while (trial := search.take(12)) is not None:
        search.train(trial)
    assert [trial.state.name for trial in search.trials()] == ["COMPLETE"] * 7 + ["PRUNED"] + ["COMPLETE"] * 4
    report(search, search.space, final=True)
    assert "best of 12" in capsys.readouterr().out
    search.take(13)  # one that runs isn't among them
    search.experiment = "own"
    report(search, search.space, final=True)
    out = capsys.readouterr().out
    assert "best of 12: val/loss 0.8900" in out
    assert "share of the score's variance" in out
    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.width > 1000
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {
        "experiment": "own", "seed_everything": 1, "model": {"name": "d"},
    }  # fmt: skip
    rates = [trial.params["model.learning_rate"] for trial in search.trials()[:12]]
    assert len(set(rates)) == 12
    assert all(0.0001 <= rate <= 0.01 for rate in rates)


@pytest.mark.slow
def test_trials_that_were_left_behind_are_taken_first_and_those_of_others_are_not(search: Search, space: Path) -> None:
    left = search.take(3)
    assert left is not None
    search.claims.release()  # as if its process had been killed
    again = search.take(3)
    assert again is not None
    assert again.params == left.params
    assert search.run_of(again) == search.run_of(left)
    assert len(search.trials()) == 1
    assert taken_by_another(search.output, space) == "trial-2"


def test_a_trial_that_ends_while_another_process_looks_for_those_left_behind_is_not_taken_for_one(
    search: Search, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("command_line.sweeping.search.train_trial", scripted(lambda _: [1.0]))
    trial = search.take(2)
    assert trial is not None
    looks = tmp_path / "looks"
    other = forked(take, search.output, space, looks)
    while not looks.exists():
        assert other.is_alive()
        time.sleep(0.02)
    search.train(trial)
    looks.unlink()
    other.join()
    assert other.exitcode == 0
    assert (search.output / "taken").read_text() == "trial-2"
    assert [trial.state.name for trial in search.trials()] == ["COMPLETE", "RUNNING"]


def taken_by_another(output: Path, space: Path) -> str:
    other = forked(take, output, space)
    other.join()
    assert other.exitcode == 0
    return (output / "taken").read_text()


def take(output: Path, space: Path, looks: Path | None = None) -> None:
    """Take a trial, perhaps after half a second between a look at the trials and one at the claims."""
    search = Search(CONFIG, [], read_space(space), True, output)
    assert isinstance(search.claims, FileClaims)
    is_claimed = search.claims.is_claimed

    def later(number: int) -> bool:
        if looks is not None:
            looks.touch()
            end = time.monotonic() + 0.5
            while looks.exists() and time.monotonic() < end:
                time.sleep(0.02)
        return is_claimed(number)

    setattr(search.claims, "is_claimed", later)  # noqa: B010 - mypy
    trial = search.take(3)
    assert trial is not None
    (output / "taken").write_text(search.run_of(trial).name)


def test_failed_trials_are_taken_up_again_by_the_next_command_and_keep_nothing_from_going_on(
    tmp_path: Path, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing: set[str] = set()
    trains = scripted(lambda _: [1.0])

    def train(run: Run, *others: Any) -> str:
        return "failed" if run.name in failing else trains(run, *others)

    monkeypatch.setattr("command_line.sweeping.search.train_trial", train)

    def command(trials: int, failures: int) -> list[str]:
        """Train until there are enough trials, or so many in a row fail."""
        config = {**CONFIG, "model.learning_rate": 0.001, "data.batch_size": 16}
        search = Search(config, [], read_space(space), True, tmp_path)
        taken: list[str] = []
        endings: list[str] = []
        while endings[-failures:] != ["failed"] * failures and (trial := search.take(trials)) is not None:
            taken.append(search.run_of(trial).name)
            assert (trial.params["model.learning_rate"] == 0.001) == (taken[-1] == "trial-1")
            endings.append(search.train(trial))
        assert len(search.trials()) <= trials
        return taken

    failing |= {"trial-1", "trial-2", "trial-3"}
    assert command(4, failures=1) == ["trial-1"]
    failing.remove("trial-1")
    assert command(4, failures=2) == ["trial-1", "trial-2", "trial-3"]
    assert command(4, failures=2) == ["trial-2", "trial-4", "trial-3"]  # each fails again, once
    assert command(4, failures=3) == ["trial-2", "trial-3"]  # neither keeps the other from being tried
    failing.clear()
    assert command(4, failures=2) == ["trial-2", "trial-3"]


@pytest.mark.parametrize(("seed", "expected"), [(1, 4), (None, 6)])
def test_a_combination_is_trained_once_where_the_seed_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int | None, expected: int
) -> None:
    space: Space = {
        "model.optimizer": optuna.distributions.CategoricalDistribution(["sgd", "adamw"]),
        "model.warmup_epochs": optuna.distributions.IntDistribution(0, 1),
    }
    monkeypatch.setattr("command_line.sweeping.search.train_trial", scripted(lambda _: [1.0]))
    names, values = [], []
    for trials in (3, 6):
        search = Search({**CONFIG, "seed_everything": seed}, [], space, False, tmp_path)
        while (trial := search.take(trials)) is not None:
            names.append(search.run_of(trial).name)
            values.append(tuple(sorted(trial.params.items())))
            assert search.train(trial) == "finished"
        assert len(search.trials()) == len(names)
    assert names == [f"trial-{number}" for number in range(1, expected + 1)]
    assert search.exhausted == (seed is not None)
    assert len({*values}) == 4 or seed is None


def test_the_config_is_tried_first_if_the_space_has_it() -> None:
    space: Space = {"a": optuna.distributions.FloatDistribution(0.0005, 0.0105, step=0.002)}
    assert values_in(space, {"a": 0.001}) == {}
    assert values_in(space, {"a": 0.0025}) == {"a": 0.0025}
    assert values_in(space, {"a": 0.0125}) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [a, b]", "leave --name out"),
        ("experiment: [a, b]", "leave --experiment out"),
        ("scores.enabled: [true, false]", "scores.enabled is false, but sweep compares"),
        ("trainer.fast_dev_run: [true]", "no training of sweep would be finished"),
        ("data.val_fraction: [0, 0.1]", "data.val_fraction may be 0 in the search space"),
        ("data.val_fraction: {low: 0.0, high: 0.2}", "data.val_fraction may be 0 in the search space"),
    ],
)
def test_a_space_is_refused_for_what_options_are_refused_for(
    toy_root: Path, tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "space.yaml").write_text(f"{text}\n")
    with pytest.raises(SystemExit) as stop:
        main(command(toy_root, tmp_path / "space.yaml", tmp_path / "out", "--trials=1"))
    assert expected in str(stop.value.code)
    assert not (tmp_path / "out").exists()


def searched(output: Path, space: Path, database: Path, score: float = 1.0) -> Search:
    """Work on a search in a database until it has one more trial, which has a score."""
    output.mkdir(parents=True, exist_ok=True)
    search = Search(CONFIG, [], read_space(space), True, output, f"sqlite:///{database}")
    trial = search.take(100)
    assert trial is not None
    search.run_of(trial).folder.mkdir()
    search.study.tell(trial, score)
    return search


def test_folders_of_one_name_are_two_searches_in_a_database(tmp_path: Path, space: Path) -> None:
    one, two = tmp_path / "one/sweep", tmp_path / "two/sweep"
    database = tmp_path / "all.db"
    for output in (one, two, one):
        search = searched(output, space, database)
    assert sorted(folder.name for folder in one.glob("trial-*")) == ["trial-1", "trial-2"]
    assert [folder.name for folder in two.glob("trial-*")] == ["trial-1"]
    name = search.claims.study_name
    assert json.loads((one / "study.json").read_text()) == {"study": name}
    assert name.startswith("sweep-")
    assert not list(one.glob(".*"))


def test_a_search_begun_before_there_were_ids_goes_on_where_its_best_trial_is(
    tmp_path: Path, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "mine/sweep", tmp_path / "other/sweep"
    database = tmp_path / "all.db"
    with monkeypatch.context() as before:
        before.setattr("command_line.sweeping.database.study_name", lambda output, _: output.name)
        searched(mine, space, database, score=1.0)
        searched(other, space, database, score=2.0)
    with pytest.raises(MisconfigurationException, match=r"has its best trial in another folder than .*other/sweep"):
        searched(other, space, database)
    search = searched(mine, space, database)
    assert search.claims.study_name == "sweep"
    assert len(search.trials()) == 3
    assert not (mine / "study.json").exists()


def test_a_folder_keeps_to_its_database(tmp_path: Path, space: Path) -> None:
    output = tmp_path / "sweep"
    searched(output, space, tmp_path / "all.db")
    with pytest.raises(MisconfigurationException, match="holds a search in a database .*study.json.: repeat the comm"):
        Search(CONFIG, [], read_space(space), True, output)
    with pytest.raises(MisconfigurationException, match="holds trials, but the database of --storage has no search"):
        searched(output, space, tmp_path / "new.db")
    (output / "study.json").write_text("{}")
    with pytest.raises(MisconfigurationException, match="Can't read the name of the search in .*study.json"):
        searched(output, space, tmp_path / "all.db")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no options"),
        ("a: [", "is no YAML"),
        ("a: 3\n", "a is 3: it has to be a list of choices"),
        ("a: []\n", "there is nothing to choose from"),
        ("a: {low: 1, high: 2, steps: 1}\n", "a range has low, high, log and step, not steps"),
        ("a: {low: 1e-4, high: 2}\n", "1.0e-4 as a number"),
        ("a: {low: 3, high: 2}\n", "a is {'low': 3, 'high': 2}:"),
        ("a: {low: 0, high: 2, log: true}\n", "a is {'low': 0, 'high': 2, 'log': True}:"),
        ("a: [[1, 2]]\n", "choices have to be numbers, words"),
    ],
)
def test_a_wrong_space_is_answered_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(Exception, match="space.yaml") as error:
        read_space(file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "extra", "message"),
    [
        ("model.learning_rat: [1]\n", [], "model.learning_rat"),
        ("trainer.max_epochs: [many]\n", [], "trainer.max_epochs"),
        (SPACE, ["--trials=0"], "--trials is 0: it has to be 1 or more"),
    ],
)
def test_what_no_training_takes_is_answered_before_the_first(
    toy_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, extra: list[str], message: str
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(command(toy_root, file, tmp_path / "sweep", *extra))
    assert message in f"{stop.value.code}{capfd.readouterr().err}"
    assert not (tmp_path / "sweep").exists()


def test_every_choice_and_both_ends_are_tried(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("a: {low: 1, high: 9}\nb: [x, null, true]\nc: {low: 0.5, high: 1.0, step: 0.25}\n")
    space = read_space(file)
    assert list(corners(space)) == [
        ["--a=1", "--b=x", "--c=0.5"],
        ["--a=9", "--b=null", "--c=1.0"],
        ["--a=1", "--b=true", "--c=0.5"],
    ]
    assert values_in(space, {"a": 3, "b": None, "c": 7.0}) == {"a": 3, "b": None}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[Any]:
    verbosity = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(verbosity)
