"""Data that has some of the checkpoint's classes, or one: scored by their names, on one device and on two."""

import csv
import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import ImageFolderDataModule
from results.class_report import report_csv
from results.figures.confusion_figure import confusion_figure
from runs.class_names import ClassNames
from tests.support.partly_known_classes import RESNET, agree, class_folders, expected, first, own
from tests.support.partly_known_classes import evaluate as evaluate
from tests.support.partly_known_classes import pictures as pictures
from tests.support.partly_known_classes import trained as trained
from tests.support.processes import run_devices

pytestmark = pytest.mark.slow


@pytest.mark.drawn
@pytest.mark.parametrize("classes", [(6, 1, 4), (5,)])
def test_some_classes_or_one_are_scored_by_name(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], classes: tuple[int, ...],
) -> None:  # fmt: skip
    some = first(pictures, *classes)
    scores = evaluate(class_folders(tmp_path / "photos/test", some).parent)
    reference = expected(trained, some)
    assert 0 < reference["test/accuracy"] < 1
    assert reference["test/classes"] < 8
    agree(scores, reference)
    assert f"precision (macro, {reference['test/classes']} of 8 classes)" in capsys.readouterr().out
    (report,) = (tmp_path / "logs").rglob("test_report.csv")
    with report.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["class"] for row in rows[: len(classes)]} == set(some)
    assert all(row["images"] == "0" for row in rows[len(classes) :])
    f1 = [float(row["f1"]) for row in rows if row["f1"]]
    assert np.mean(f1) == pytest.approx(scores["test/f1"], abs=1e-4)


def test_validation_and_a_table_are_scored_by_name_as_well(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path
) -> None:
    some = first(pictures, 2)
    name = next(iter(some))
    lines = "".join(f"{file},{name},val\n" for file in some[name])
    (tmp_path / "cars.csv").write_text(f"path,label,split\n{lines}")
    scores = evaluate(tmp_path / "cars.csv", stage="validate")
    reference = expected(trained, some)
    assert scores["val/accuracy"] == pytest.approx(reference["test/accuracy"])
    assert scores["val/classes"] == reference["test/classes"]


def test_all_classes_need_no_word(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    scores = evaluate(class_folders(tmp_path / "photos/test", pictures).parent)
    agree(scores, expected(trained, pictures))
    assert scores["test/classes"] == 8
    assert "macro" not in capsys.readouterr().out


def test_names_are_the_same_but_for_composition_and_slashes() -> None:
    known = ClassNames(["Ram C/V Van", "Citroën", "A/B", "A-B", "x"])
    assert known.find("Ram C-V Van") == 0
    assert known.find(unicodedata.normalize("NFD", "Citroën")) == 1
    assert [known.find("A/B"), known.find("A-B")] == [2, 3]
    assert known.find("X") is None
    assert ClassNames(["A/B", "A-B"]).find("A\u002db") is None
    assert ClassNames(["é/B", "é-B"]).find(unicodedata.normalize("NFD", "é-B")) is None  # which of the two?


def test_two_devices_score_some_classes_as_one(
    evaluate: Callable[..., dict[str, Any]], arguments: list[str], trained: Path, tmp_path: Path,
    pictures: dict[str, list[Path]],
) -> None:  # fmt: skip
    photos = {**first(pictures, 2, 6), "Zeppelin": pictures[next(iter(pictures))][:1]}
    root = class_folders(tmp_path / "photos/test", photos).parent
    alone = evaluate(root, "--data.unknown_classes=skip")
    shutil.rmtree(tmp_path / "logs")
    options = [*own(arguments, root), f"--ckpt_path={trained}", *RESNET]
    run_devices(["test", *options, "--data.unknown_classes=skip"], 2)
    (file,) = (tmp_path / "logs").rglob("test_scores.json")
    together = json.loads(file.read_text())
    assert together.pop("test/loss") == pytest.approx(alone.pop("test/loss"), abs=1e-5)
    assert together == alone


def test_absent_classes_come_last_in_the_report() -> None:
    names = ["never seen", "poor", "wrongly predicted", "fine"]
    matrix = np.array([[0, 0, 0, 0], [0, 1, 2, 1], [0, 0, 0, 0], [0, 0, 0, 4]])
    rows = list(csv.DictReader(report_csv(matrix, names).splitlines()))
    assert [row["class"] for row in rows] == ["poor", "fine", "wrongly predicted", "never seen"]
    assert [row["f1"] for row in rows] == ["0.4000", "0.8889", "0.0000", ""]
    figure = confusion_figure(matrix, names, "title")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["never seen (no images)", "poor", "wrongly predicted (no images)", "fine"]


def test_one_class_is_refused_where_there_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "test/only").mkdir(parents=True)
    with pytest.raises(MisconfigurationException, match="takes two to tell apart"):
        _ = ImageFolderDataModule(root=str(tmp_path)).class_names
