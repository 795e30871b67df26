"""Epochs leave a line each, on a terminal beside a bar, in log files alone."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from callbacks.display import progress_bar
from callbacks.display.epoch_table import EpochTable
from tests.support.run_files import tensorboard_curves

Run = Callable[..., None]
SHOWN = ["--trainer.enable_progress_bar=true"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_has_aligned_columns_and_new_titles_where_scores_come_later() -> None:
    table = EpochTable(12, ["val/top5_accuracy", "val/loss"])
    scores = {"train/loss": 1.25, "val/f1": 0.5, "val/loss": 2.0, "val/top5_accuracy": 0.75, "lr": 0.1}
    assert table.lines(1, {"train/loss": 1.25}, 59.6) == [
        "epoch  train/loss     time",
        " 1/12      1.2500     1:00",
    ]
    assert table.lines(2, scores, 3725) == [
        "epoch  train/loss  val/loss  val/f1  val/top5_accuracy     time",
        " 2/12      1.2500    2.0000  0.5000             0.7500  1:02:05",
    ]
    (line,) = table.lines(12, {"train/loss": 1.0}, 0)
    assert line.split() == ["12/12", "1.0000", "-", "-", "-", "0:00"]
    assert EpochTable(None).lines(3, {}, 0)[-1].split() == ["3", "0:00"]


def test_a_log_file_has_the_lines_of_the_epochs_alone(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", *SHOWN)
    printed = capsys.readouterr().out
    assert not set("\r\x1b") & set(printed)
    titles, *rows = [line.split() for line in printed.splitlines()[:3]]
    assert titles == ["epoch", "train/loss", "val/loss", "val/accuracy", "val/f1", "time"]
    assert [row[0] for row in rows] == ["1/2", "2/2"]
    curves = tensorboard_curves(tmp_path / "logs/demo/version_0")
    steps = sorted(curves["train/loss"])
    for number, row in enumerate(rows):
        for name, cell in list(zip(titles, row, strict=True))[2:-1]:
            assert float(cell) == pytest.approx(sorted(curves[name].items())[number][1], abs=5e-5)
        of_epoch = [curves["train/loss"][step] for step in steps[number * len(steps) // 2 :][: len(steps) // 2]]
        assert float(row[1]) == pytest.approx(sum(of_epoch) / len(of_epoch), abs=6e-5)


def test_an_epoch_without_validation_repeats_no_scores(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        "fit", *SHOWN, "--trainer.max_epochs=3", "--trainer.check_val_every_n_epoch=2", "--early_stopping.patience=null"
    )
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "/3 " in line]
    assert [row[0] for row in rows] == ["1/3", "2/3", "3/3"]
    assert [row[2:-1] == ["-", "-", "-"] or len(row) == 3 for row in rows] == [True, False, True]


def test_a_terminal_has_a_bar_as_well_which_goes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    run("fit", *SHOWN)
    text = terminal.getvalue()
    assert "Epoch 1/2" in text
    assert "Epoch 0" not in text
    bars = [line for line in re.split(r"[\r\n]", text) if line.startswith("Epoch ")]
    assert not [bar for bar in bars if "val/f1" in bar]  # for which there is no space
    lines = [line.split("\r")[-1] for line in text.splitlines()]
    assert [line.split()[0] for line in lines if re.match(r" +\d/2 ", line)] == ["1/2", "2/2"]


def test_long_epochs_give_a_sign_of_life(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bar, "_SIGN_OF_LIFE", -1.0)
    run("fit", *SHOWN, "--trainer.max_epochs=1")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 1: ")]
    assert lines[0].startswith("epoch 1: 1 of ")
    assert lines[0].endswith(" batches")


def test_an_error_finds_the_line_of_the_bar_empty(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    with pytest.raises(SystemExit, match="not finite|isn't finite|nan|infinite"):
        run("fit", *SHOWN, "--model.learning_rate=1e30")
    assert terminal.getvalue().rstrip(" ").endswith(("\r", "\n", "\x1b[A"))
