"""``repeat`` trains with several seeds and on several folds, continues where it stopped, and tells mean and spread."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score

from results.figures.repeats_figure import repeats_figure
from results.repeats import spread_of
from tests.command_line.test_doubts import painted
from train import main

__all__ = ["painted"]


def command(root: Path, output: Path, *extra: str, name: str = "fit") -> list[str]:
    return [
        name, "--data=datamodules.ImageFolderDataModule", f"--data.root={root}", "--data.image_size=32",
        "--data.batch_size=8", "--data.num_workers=0", "--model.backbone=resnet18", "--model.weights=null",
        "--model.warmup_epochs=0", "--trainer.max_epochs=1", "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false", "--previews.enabled=false", f"--output={output}", *extra,
    ]  # fmt: skip


@pytest.mark.slow
def test_seeds_are_trained_tested_and_summarised(
    painted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "repeat"
    main(command(painted / "train", output, "--seeds", "3", "--data.test_fraction=0.2", "--test=true"))
    trained = (output / "seed-3/checkpoints/best.ckpt").stat().st_mtime_ns
    main(command(painted / "train", output, "--seeds", "3", "4", "--data.test_fraction=0.2", "--test=true"))
    out = capfd.readouterr().out
    assert (output / "seed-3/checkpoints/best.ckpt").stat().st_mtime_ns == trained
    with (output / "repeat.csv").open(newline="") as rows:
        runs = list(csv.DictReader(rows))
    assert [row["run"] for row in runs] == ["seed-3", "seed-4"]
    summary = json.loads((output / "repeat.json").read_text())
    for name in ("val/accuracy", "test/accuracy", "test_tta/f1"):
        scores = [float(row[name]) for row in runs]
        low, high = (
            stats.t.interval(0.95, 1, loc=np.mean(scores), scale=stats.sem(scores))
            if len(set(scores)) > 1
            else (
                scores[0],
                scores[0],
            )
        )
        assert summary[name]["low"] == pytest.approx(max(low, 0))
        assert summary[name]["high"] == pytest.approx(min(high, 1))
        assert summary[name]["runs"] == 2
    assert [line.split()[0] for line in out.splitlines() if line.startswith(("seed-", "mean", "95 %"))] == [
        *("seed-3", "mean"),
        *("seed-3", "seed-4", "mean", "95", "95"),
    ]
    seeds = [json.loads((output / f"seed-{seed}/test/test_scores.json").read_text()) for seed in (3, 4)]
    assert [score["test/accuracy"] for score in seeds] == [float(row["test/accuracy"]) for row in runs]
    assert (output / "repeat.png").stat().st_size > 10_000
    with pytest.raises(SystemExit) as stop:
        main(command(painted / "train", output, "--seeds=3", "--data.test_fraction=0.2", "--trainer.max_epochs=2"))
    assert "holds trainings with other options" in str(stop.value.code)


@pytest.mark.slow
def test_folds_answer_to_every_image_once(painted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "repeat"
    main(command(painted, output, "--folds=2", name="repeat"))
    out = capfd.readouterr().out
    with (output / "out_of_fold.csv").open(encoding="utf-8-sig", newline="") as rows:
        answers = list(csv.DictReader(rows))
    assert len({row["file"] for row in answers}) == len(answers) == 72
    truth = [row["class"] for row in answers]
    for prefix, title in (("", "plain"), ("tta_", "TTA")):
        expected = accuracy_score(truth, [row[f"{prefix}class_1"] for row in answers])
        assert f"out of fold, {title}: {expected:.4f} of 72 images" in out
    with (output / "repeat.csv").open(newline="") as rows:
        assert [row["data.fold"] for row in csv.DictReader(rows)] == ["0", "1"]
    files = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file() and path.name != "plan.json"}
    main(command(painted, output, "--seeds=3", name="repeat"))  # of other runs, whose summary is another one
    assert {path.name: path.read_bytes() for path in output.iterdir() if path.name in files} == files
    assert {path.name for path in output.iterdir() if path.is_file()} - {*files, "plan.json"} == {
        "repeat-2.csv", "repeat-2.json", "repeat-2.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "repeat needs --seeds or --folds"),
        (["--folds=1"], "--folds is 1: it has to be 2 or more"),
        (["--seeds", "1", "1"], "--seeds is [1, 1]: they have to be 0 or more"),
        (["--seeds=-1"], "--seeds is [-1]: they have to be 0 or more"),
        (["--seeds", "1", "two"], "seeds"),
        (["--folds=1000"], "1000"),
        (["--seeds=1", "--test=true"], "has no test part"),
    ],
)
def test_what_cannot_be_repeated_is_answered_in_one_sentence(
    painted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(command(painted, tmp_path / "repeat", *extra, name="repeat"))
    told = f"{stop.value.code}{capfd.readouterr().err}".strip()
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "repeat").exists()


def test_a_single_run_has_no_interval() -> None:
    assert spread_of([0.5], "val/f1").low is None


def test_the_interval_of_a_share_ends_at_0_and_1() -> None:
    assert spread_of([0.9, 1.0], "val/f1").high == 1.0
    assert spread_of([0.0, 0.1], "val/f1").low == 0.0
    assert spread_of([0.9, 1.0], "val/loss").high == pytest.approx(0.95 + stats.t.ppf(0.975, 1) * 0.05)


def test_a_single_run_is_drawn() -> None:
    figure = repeats_figure({"seed-1": {1: 0.5}}, "val/accuracy", {"val/accuracy": [0.5]})
    assert len(figure.axes) == 2


@pytest.mark.parametrize("arguments", [["fit", "--seeds", "1", "2"], ["repeat", "--folds=2"], ["sweep"]])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--trainer.limit_val_batches=0", "trainer.limit_val_batches is 0"),
        ("--trainer.check_val_every_n_epoch=2", "check_val_every_n_epoch is 2 and the run has 1 epoch"),
    ],
)
def test_without_validation_there_is_no_score_to_compare_by(
    painted: Path, tmp_path: Path, arguments: list[str], option: str, said: str
) -> None:
    name, *more = arguments
    typed = command(painted / "train", tmp_path / "repeat", option, "--early_stopping.patience=null", *more, name=name)
    with pytest.raises(SystemExit) as stop:
        main(typed)
    assert "There is no score to" in str(stop.value.code)
    assert said in str(stop.value.code)
    assert not (tmp_path / "repeat").exists()
