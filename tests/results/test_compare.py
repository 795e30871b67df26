"""Runs side by side."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from results.comparison import Given, common_answers, compare_answers, read_answers
from runs.curves import read_curve
from runs.naming import claim_numbered
from runs.run import Run
from tests.support.run_files import tensorboard_curves
from train import main

Command = Callable[..., None]


def answers(right: list[bool]) -> dict[str, Given]:
    return {f"/{number}.jpg": Given("a", "a" if flag else "b", 0.5) for number, flag in enumerate(right)}


def test_numbers_are_those_of_statistics() -> None:
    random = np.random.default_rng(0)
    first, second = random.random(300) < 0.7, random.random(300) < 0.8
    files, (reference, other) = compare_answers([answers(first.tolist()), answers(second.tolist())])
    assert len(files) == 300
    won, lost = int((second & ~first).sum()), int((first & ~second).sum())
    assert (len(other.won), len(other.lost)) == (won, lost)
    # the exact test of McNemar: a coin thrown for each picture that one of them alone has right
    tail = binom.cdf(min(won, lost), won + lost, 0.5)
    assert other.probability == pytest.approx(min(1, 2 * tail), rel=1e-6)
    assert other.difference is not None
    score, low, high = other.difference
    assert score == pytest.approx(second.mean() - first.mean())
    error = np.std(second.astype(float) - first) / np.sqrt(300)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert reference.difference is None
    assert reference.accuracy.score == first.mean()


def test_only_pictures_that_all_have_seen_count() -> None:
    part = {file: given for file, given in answers([True] * 5).items() if file != "/2.jpg"}
    files, compared = compare_answers([answers([True, False, False, True, True]), part])
    assert files == ["/0.jpg", "/1.jpg", "/3.jpg", "/4.jpg"]
    assert compared[1].won == ["/1.jpg"]
    with pytest.raises(Exception, match="different pictures"):
        compare_answers([answers([True]), {"/9.jpg": Given("a", "a", 1)}])
    with pytest.raises(Exception, match="different labels of /0.jpg: a, b"):
        compare_answers([answers([True]), {"/0.jpg": Given("b", "a", 1)}])


def test_further_boxes_of_a_photograph_count(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text("file,class,class_1,probability_1\n/1.jpg,a,a,0.9\n/1.jpg,b,a,0.8\n/2.jpg,a,a,0.7\n")
    found = read_answers(file, views=False)
    assert [(given.label, given.answer) for given in found.values()] == [("a", "a"), ("b", "a"), ("a", "a")]
    assert [*found] == ["/1.jpg", "/1.jpg (2)", "/2.jpg"]


def test_the_newest_test_that_all_runs_have_is_compared(tmp_path: Path) -> None:
    def tested(run: str, folder: str, root: str) -> Path:
        place = tmp_path / run / folder
        place.mkdir(parents=True)
        (place / "config.yaml").write_text(f"data:\n  init_args: {{root: {root}}}\n")
        (place / "predictions.csv").touch()
        return place / "predictions.csv"

    runs = [Run(tmp_path / name) for name in ("one", "two")]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("data:\n  init_args: {root: /own}\n")
    with pytest.raises(Exception, match="no predictions.csv of a test yet"):
        common_answers(runs)
    street = [tested("one", "test-2", "/street"), tested("two", "test-2", "/street/")]
    assert common_answers(runs) == (street, "/street", False)
    tested("one", "test", "/own")
    assert common_answers(runs) == (street, "/street", False)
    own = [tested("one", "test-10", "/own"), tested("two", "test", "/own")]
    assert common_answers(runs) == (own, None, False)
    os.utime(tmp_path / "one/test/predictions.csv")  # as a copy of the run may have it
    assert common_answers(runs) == (own, None, False)


def test_validations_are_compared_where_all_have_been_validated_alone(tmp_path: Path) -> None:
    def evaluated(run: str, folder: str) -> Path:
        (tmp_path / run / folder).mkdir(parents=True)
        (tmp_path / run / folder / "predictions.csv").touch()
        return tmp_path / run / folder / "predictions.csv"

    runs = [Run(tmp_path / name) for name in ("one", "two", "three")]
    validated = [evaluated(run.name, "validate") for run in runs[:2]]
    assert common_answers(runs[:2]) == (validated, None, True)
    evaluated("one", "test")
    assert common_answers(runs[:2]) == (validated, None, True)  # which both have
    with pytest.raises(Exception, match="three has no predictions.csv of a test yet: .*test .*three"):
        common_answers([runs[0], runs[2]])


def test_comparisons_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = [claim_numbered(tmp_path / "a/comparison") for _ in range(3)]
    assert [folder.name for folder in folders] == ["comparison", "comparison-2", "comparison-3"]
    assert all(folder.is_dir() for folder in folders)


@pytest.mark.slow
def test_two_runs_are_compared(run: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(tmp_path / "logs" / name) for name in ("demo/one", "other/two")]
    for folder, rate in zip(folders, ("0.0005", "0.004"), strict=True):
        place = [f"--experiment={Path(folder).parent.name}", f"--name={Path(folder).name}"]
        run("fit", "--trainer.max_epochs=1", *place, f"--model.learning_rate={rate}")
    with pytest.raises(SystemExit, match=r"has no predictions.csv of a test yet: .*test .*one"):
        main(["compare", *folders])
    for folder in folders:
        main(["test", folder, "--report.enabled=true", "--report.pictures=1", "--trainer.enable_progress_bar=false"])
    output = tmp_path / "comparison"
    capsys.readouterr()
    main(["compare", *folders, f"--output={output}"])
    printed = capsys.readouterr().out
    with (output / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    for name, folder in zip(("one", "two"), folders, strict=True):
        with (Path(folder) / "test/predictions.csv").open() as file:
            right = [row["tta_class_1"] == row["class"] for row in csv.DictReader(file)]
        assert [row[f"{name} right"] == "1" for row in rows] == right
        assert f"{np.mean(right):.4f}" in printed
    assert "model.learning_rate" in printed
    page = (output / "comparison.html").read_text()
    for text in ("McNemar", "two alone is right", "two alone is wrong", "0.004", "val/accuracy", "train/loss"):
        assert text in page
    main(["compare", *folders, f"--output={output}"])
    assert (tmp_path / "comparison-2/comparison.csv").read_text() == (output / "comparison.csv").read_text()
    curve = read_curve(Path(folders[0]), "train/loss")
    assert curve == dict(tensorboard_curves(Path(folders[0]))["train/loss"])
    with pytest.raises(SystemExit, match="one is named twice"):
        main(["compare", folders[0], folders[1], f"{folders[0]}/"])
    with pytest.raises(SystemExit, match="two runs or more"):
        main(["compare", folders[0]])
