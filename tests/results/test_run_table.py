import csv
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from results.run_table import is_score, run_rows, scores_of
from runs.run import Run
from train import main


def write_run(folder: Path, events: list[dict[str, object]], rate: float, scores: dict[str, float]) -> None:
    (folder / "test").mkdir(parents=True)
    lines = [json.dumps({"event": "began", "time": 1000.0, "epochs": 8, "epoch": 0}), *map(json.dumps, events)]
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "config.yaml").write_text(
        f"name: null\nmodel:\n  learning_rate: {rate}\n  optimizer: adamw\ndata:\n  init_args: {{batch_size: 8}}\n"
        f"logs: {folder.parent}\n"
    )
    for file, prefix in (("fit_scores.json", "val/"), ("test/test_scores.json", "test")):
        found = {name: value for name, value in scores.items() if name.startswith(prefix)}
        (folder / file).write_text(json.dumps({"checkpoint": "best.ckpt", **found}))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    finished: list[dict[str, object]] = [{"event": "finished", "time": 1000.0 + 3725, "epoch": 8}]
    stopped: list[dict[str, object]] = [
        {"event": "stopped", "time": 1010.0, "epoch": 3},
        {"event": "resumed", "time": 2000.0, "epochs": 10, "epoch": 3},
        {"event": "failed", "time": 2005.0, "epoch": 5, "reason": "OSError"},
    ]
    write_run(tmp_path / "cars/a", finished, 0.01, {"val/f1": 0.8, "test/accuracy": 0.75, "test_tta/accuracy": 0.76})
    write_run(tmp_path / "cars/deep/b", stopped, 0.002, {"val/f1": 0.9})
    return tmp_path


def test_a_row_says_how_far_a_run_is_what_it_scored_and_what_differs(logs: Path) -> None:
    columns, rows = run_rows([Run(logs / "cars/a"), Run(logs / "cars/deep/b")], logs)
    assert columns == [
        *("run", "state", "epochs", "begun", "length"),
        *("val/f1", "test/accuracy", "test_tta/accuracy", "model.learning_rate"),
    ]
    assert [row["run"] for row in rows] == ["cars/a", "cars/deep/b"]
    assert [row["state"] for row in rows] == ["finished", "failed at epoch 5"]
    assert [row["epochs"] for row in rows] == ["8/8", "5/10"]
    assert [row["length"] for row in rows] == ["1:02:05", "0:00:15"]
    assert [row["model.learning_rate"] for row in rows] == [0.01, 0.002]
    assert [row.get("test/accuracy") for row in rows] == [0.75, None]


def test_tests_on_other_data_are_not_the_scores_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def tested(folder: str, root: str, accuracy: float) -> None:
        place = run / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.yaml").write_text(f"data:\n  init_args: {{root: {root}}}\n")
        (place / "test_scores.json").write_text(json.dumps({"test/accuracy": accuracy}))

    tested("", "own", 0.5)  # the run's own config
    (run / "test_scores.json").unlink()
    tested("test-2", f"{tmp_path}/others", 0.1)
    columns, (row,) = run_rows([Run(run)], tmp_path)
    assert (row["test/accuracy"], row["tested on"]) == (0.1, f"{tmp_path}/others")
    assert columns[-1] == "tested on"
    assert [name for name in columns if is_score(name)] == ["test/accuracy"]  # which repeat averages
    tested("test", str(Path("own").absolute()), 0.7)
    columns, (row,) = run_rows([Run(run)], tmp_path)
    assert row["test/accuracy"] == 0.7
    assert "tested on" not in columns


def test_scores_are_those_of_the_best_checkpoint_as_it_is_now(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)

    def save(name: str, step: int) -> None:
        torch.save({"global_step": step}, run.checkpoints / name)

    def tested(folder: str, checkpoint: str, accuracy: float, **step: int) -> None:
        (run.folder / folder).mkdir()
        scores = {"checkpoint": f"checkpoints/{checkpoint}", "test/accuracy": accuracy}
        scores |= {name: float(number) for name, number in step.items()}  # as they are logged
        (run.folder / folder / "test_scores.json").write_text(json.dumps(scores))

    save("best.ckpt", 10)
    save("last.ckpt", 20)
    names = ["test/accuracy"]
    assert scores_of(run, names) == {}
    tested("test", "last.ckpt", 0.4, step=20)
    assert scores_of(run, names) == {"test/accuracy": 0.4}  # there is no other
    tested("test-2", "best.ckpt", 0.8)  # by an older version, which notes no step
    tested("test-3", "last.ckpt", 0.5, step=20)
    assert scores_of(run, names) == {"test/accuracy": 0.8}
    tested("test-4", "best.ckpt", 0.9, step=10)
    assert scores_of(run, names) == {"test/accuracy": 0.9}
    save("best.ckpt", 30)  # trained on
    assert scores_of(run, names) == {"test/accuracy": 0.8}
    (run.checkpoints / "best.ckpt").unlink()
    assert scores_of(run, names) == {"test/accuracy": 0.9}


@pytest.mark.slow
def test_a_test_before_further_training_is_no_score_of_the_run_any_more(
    run: Callable[..., None], tmp_path: Path
) -> None:
    folder = tmp_path / "logs/demo/version_0"
    run("fit", "--data.val_fraction=0", "--early_stopping.patience=null", "--trainer.max_epochs=1")
    main(["test", str(folder)])
    assert scores_of(Run(folder), ["test/accuracy"])
    main(["fit", str(folder), "--trainer.max_epochs=2"])
    assert scores_of(Run(folder), ["test/accuracy"]) == {}
    main(["test", str(folder)])
    assert scores_of(Run(folder), ["test/accuracy"])


def test_only_a_table_of_runs_is_replaced_by_one(logs: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n1.jpg,a\n")
    with pytest.raises(SystemExit, match="which exists and is no table of runs"):
        main(["runs", str(logs), f"--output={labels}"])
    assert labels.read_text() == "path,label\n1.jpg,a\n"
    for _ in range(2):
        main(["runs", str(logs), f"--output={tmp_path / 'runs.csv'}"])


def test_a_narrow_terminal_keeps_the_scores(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "70")
    main(["runs", str(logs)])
    header, *_, left = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "state", "test/accuracy", "test_tta/accuracy"]
    assert left.endswith("epochs, begun, length, val/f1, model.learning_rate")


def test_a_run_on_another_machine_is_not_said_to_have_stopped(tmp_path: Path) -> None:
    begun = {"event": "resumed", "time": 2000.0, "epochs": 8, "host": "elsewhere.example"}
    write_run(tmp_path / "there", [begun], 0.01, {})
    write_run(tmp_path / "here", [{**begun, "host": platform.node()}], 0.01, {})  # whose lock is seen, and isn't held
    write_run(tmp_path / "done", [begun, {"event": "finished", "time": 2005.0, "epoch": 8}], 0.01, {})
    _, rows = run_rows([Run(tmp_path / name) for name in ("there", "here", "done")], tmp_path)
    assert [row["state"].partition(" at ")[0] for row in rows] == [
        "running or lost on elsewhere.example", "stopped", "finished",
    ]  # fmt: skip


def test_the_command_sorts_and_writes(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["runs", str(logs), "--sort", "-val/f1", f"--output={logs / 'runs.csv'}"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["run", "cars/deep/b", "cars/a"]
    with (logs / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["cars/deep/b", "cars/a"]
    assert rows[1]["test_tta/accuracy"] == "0.76"
    main(["runs", str(logs), "--sort", "test/accuracy"])  # what has no test score comes last
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["run", "cars/a", "cars/deep/b"]


def test_runs_of_the_same_minute_are_sorted_by_the_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, second in (("b", 0.0), ("a", 1.0), ("c", 2.0)):
        write_run(tmp_path / name, [], 0.01, {})
        history = tmp_path / name / "history.jsonl"
        history.write_text(history.read_text().replace("1000.0", str(1020.0 + second)))
    for sort, order in (("begun", "bac"), ("-begun", "cab")):
        main(["runs", str(tmp_path), f"--sort={sort}"])
        assert "".join(line[0] for line in capsys.readouterr().out.splitlines()[1:]) == order


def test_real_runs_are_listed(run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--previews.enabled=false", "--trainer.max_epochs=1"]
    run("fit", *quick, "--name=trial_a")
    run("fit", *quick, "--name=trial_b", "--model.label_smoothing=0.3")
    run("test", "--name=trial_b")
    capsys.readouterr()
    main(["runs", str(tmp_path / "logs")])
    header, first, second = capsys.readouterr().out.splitlines()
    assert "model.label_smoothing" in header
    assert first.split()[:3] == ["demo/trial_a", "finished", "1/1"]
    assert second.split()[0] == "demo/trial_b"
    assert second.split()[-1] == "0.3"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "no folder nowhere"),
        (["{empty}"], "no run in"),
        (["{logs}", "--sort=begin"], "Did you mean 'begun'?"),
        (["{logs}", "--sort=acc"], "There are run, state, epochs"),
    ],
)
def test_mistakes_get_one_line(
    mistake: Callable[..., str], logs: Path, tmp_path: Path, words: list[str], expected: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["runs", *(word.format(logs=logs, empty=tmp_path / "empty") for word in words)])
    assert expected in str(stop.value.code)
