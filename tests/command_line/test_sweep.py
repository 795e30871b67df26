"""``sweep`` searches with Optuna, ends what falls behind, continues what was killed, and writes what it found."""

import csv
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import yaml

from runs.run import Run
from tests.support.processes import ServedCommand
from tests.support.searches import command, quiet, space
from train import main

__all__ = ["quiet", "space"]


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
