"""Runs side by side."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from results.comparison import Given, compare_answers
from runs.curves import read_curve
from tests.support.run_files import tensorboard_curves
from train import main

Run = Callable[..., None]


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


@pytest.mark.slow
def test_two_runs_are_compared(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(tmp_path / "logs/demo" / name) for name in ("one", "two")]
    for folder, rate in zip(folders, ("0.0005", "0.004"), strict=True):
        run("fit", "--trainer.max_epochs=1", f"--name={Path(folder).name}", f"--model.learning_rate={rate}")
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
