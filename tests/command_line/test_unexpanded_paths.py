"""Paths with ``~`` and variables are written out, and names of runs stay as they were typed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from command_line.arguments.paths import expand
from train import main

Mistake = Callable[..., str]


def test_paths_are_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CARS", "/data/$HOME")
    assert expand("~/cars", "x") == f"{tmp_path}/home/cars"
    assert expand("~", "x") == f"{tmp_path}/home"
    assert expand("$HOME/${CARS}/*.jpg", "x") == f"{tmp_path}/home//data/$HOME/*.jpg"
    for kept in ("photos/~/$5.jpg", "~nobody_here/x", "https://host/$CARS", "a$", "DEFAULT", "", "/~", "$(ls)"):
        assert expand(kept, "x") == kept
    Path("$HOME").mkdir()
    Path("~").mkdir()
    assert expand("$HOME/new/$CARS", "x") == "$HOME/new//data/$HOME"
    assert expand("~/new", "x") == "~/new"


def test_a_run_goes_through_with_unexpanded_paths(run: Callable[..., None], home: Path) -> None:
    (home / "photos.yaml").write_text("data: {init_args: {predict_dir: [~/photos]}}\n")
    one = ["--trainer.max_epochs=1", "--previews.enabled=false", "--name=$5 a~b"]
    run("fit", *one, "--data.root=${CARS}", "--trainer.logger.init_args.save_dir=~/my logs")
    folder = home / "my logs/demo/$5 a~b"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["data"]["init_args"]["root"] == str(home / "cars")  # what it became, so that it means the same later
    assert config["logs"] == str(home / "my logs")
    main(["test", "~/my logs/demo/$5 a~b", "--output=~/evaluated"])
    assert (home / "evaluated/test_scores.json").is_file()
    main(["predict", "$HOME/my logs/demo/$5 a~b", "${HOME}/photos/*", "--output", "~/out.csv"])
    assert len((home / "out.csv").read_text().splitlines()) == 41
    main(["predict", "--config=~/my logs/demo/$5 a~b/config.yaml", "--ckpt_path=~/my logs/demo/$5 a~b",
          "--config=$HOME/photos.yaml", "--output=~/again.csv"])  # fmt: skip
    assert (home / "again.csv").read_text() == (home / "out.csv").read_text()
    main(["runs", "~/my logs", "--output=$HOME/runs.csv"])
    assert (home / "runs.csv").is_file()


@pytest.mark.parametrize(
    ("command", "option", "said"),
    [
        ("fit", "--data.root=$NOT_SET/x", "data.root is $NOT_SET/x"),
        ("fit", "--model.weights=${NOT_SET}/x.pth", "model.weights is ${NOT_SET}/x.pth"),
        ("fit", "--logs=$NOT_SET", "--logs is $NOT_SET"),
        ("fit", "$NOT_SET/run", "the run is $NOT_SET/run"),
        ("test", "--ckpt_path=$NOT_SET/x", "--ckpt_path is $NOT_SET/x"),
        ("predict", "--data.predict_dir=[a,$NOT_SET/x]", "data.predict_dir is $NOT_SET/x"),
        ("check", "--output=$NOT_SET/x", "--output is $NOT_SET/x"),
        ("fit", "--config=$NOT_SET/x.yaml", "--config is $NOT_SET/x.yaml"),
    ],
)
def test_a_variable_that_is_not_set_is_said(mistake: Mistake, home: Path, command: str, option: str, said: str) -> None:
    assert f"{said}, but the environment has no variable NOT_SET: set it" in mistake(command, option)


def test_names_of_runs_stay_as_they_were_typed(mistake: Mistake, home: Path) -> None:
    assert "--name is '$HOME'" in mistake("fit", "--name=$HOME")


@pytest.mark.parametrize("experiment", ["../elsewhere", "/elsewhere", "$HOME", "a/../../b"])
def test_an_experiment_lies_in_the_folder_of_logs(mistake: Mistake, home: Path, experiment: str) -> None:
    said = mistake("fit", f"--experiment={experiment}")
    assert f"--experiment is {experiment!r}, which can't be the name of a folder in " in said
