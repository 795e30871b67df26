"""Which trial a search takes next, which it ends or leaves to other processes, and what it reports of them."""

import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from PIL import Image

from command_line.sweeping.claims import FileClaims
from command_line.sweeping.report import report
from command_line.sweeping.search import Search
from command_line.sweeping.space import Space, read_space
from runs.run import Run
from tests.support.processes import forked
from tests.support.searches import CONFIG, quiet, scripted, space

__all__ = ["quiet", "space"]


@pytest.fixture
def search(tmp_path: Path, space: Path) -> Search:
    return Search(CONFIG, ["--x=1"], read_space(space), True, tmp_path)


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
