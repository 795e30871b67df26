"""Whatever is done to several runs in whatever order, each ends as if it had been alone."""

import json
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runs.test_resume import assert_same, last_checkpoint
from tests.support.interruptions import interrupted
from tests.support.run_files import checksums, tensorboard_curves
from train import main

BATCHES, EPOCHS = 4, 3
OPTIONS = ["--previews.enabled=false", "--tta.enabled=false", f"--trainer.max_epochs={EPOCHS}"]
Begin = Callable[..., Path]


@pytest.fixture
def begin(arguments: list[str]) -> Begin:
    """Begin a run with a name and a seed in a folder, perhaps to be stopped after so many batches."""

    def call(logs: Path, name: str, seed: int, stop: int | None = None) -> Path:
        command = ["fit", *arguments, *OPTIONS, f"--logs={logs}", f"--name={name}", f"--seed_everything={seed}"]
        _until(command, stop)
        return logs / "demo" / name

    return call


def _until(command: list[str], stop: int | None) -> None:
    if stop is None:
        main([*command, "--trainer.callbacks=null"])
        return
    with pytest.raises(SystemExit) as ended:
        main([*command, "--trainer.callbacks=null", *interrupted("batch", stop, signal.SIGTERM)])
    assert ended.value.code == 128 + signal.SIGTERM


def _steps(run: Path) -> int:
    return int(last_checkpoint(run)["global_step"])


def _scores(run: Path) -> dict[str, Any]:
    newest = max(run.glob("test*/test_scores.json"), key=lambda file: file.stat().st_mtime_ns)
    scores: dict[str, Any] = json.loads(newest.read_text())
    return {name: value for name, value in scores.items() if "/" in name}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_runs_end_as_if_each_had_been_alone(begin: Begin, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    names = {7: "first", 8: "version_3"}
    alone = {key: begin(tmp_path / "alone", name, key) for key, name in names.items()}
    for run in alone.values():
        main(["test", str(run)])
    untouched = checksums(tmp_path / "alone")

    runs: dict[int, Path] = {}
    for moment in range(7):
        key = draw.choice([*names])
        others = {other: checksums(run) for other, run in runs.items() if other != key}
        if key not in runs:
            runs[key] = begin(tmp_path / "logs", names[key], key, draw.randrange(1, BATCHES * EPOCHS - 1))
        else:
            left = BATCHES * EPOCHS - _steps(runs[key])
            action = draw.choice(["resume", "rename", "move", "test"])
            if action == "resume":
                _until(["fit", str(runs[key])], draw.randrange(left - 1) if left > 1 else None)
            elif action == "test":
                before = checksums(runs[key])
                main(["test", str(runs[key])])
                assert {name: checksums(runs[key])[name] for name in before} == before
            else:
                parent = runs[key].parent if action == "rename" else tmp_path / f"place {moment}" / "cars"
                parent.mkdir(parents=True, exist_ok=True)
                runs[key] = runs[key].rename(parent / f"{names[key]} {moment}")
        assert {other: checksums(runs[other]) for other in others} == others
    for key in names:
        if key not in runs:
            runs[key] = begin(tmp_path / "logs", names[key], key)
        main(["fit", str(runs[key]), "--trainer.callbacks=null"])
        main(["test", str(runs[key])])

    assert checksums(tmp_path / "alone") == untouched
    for key, run in runs.items():
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step"):
            assert_same(last_checkpoint(alone[key])[part], last_checkpoint(run)[part])
        assert tensorboard_curves(run) == tensorboard_curves(alone[key])
        assert _scores(run) == _scores(alone[key])
