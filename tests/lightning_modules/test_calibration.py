"""The temperature: against scikit-learn's, and from a fit to all that uses it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import threshold_of
from lightning_modules.prediction.temperature import ValidationLogits, fit_temperature

Run = Callable[..., None]


def drawn(samples: int = 600, classes: int = 7, sharpness: float = 3.0) -> tuple[Tensor, Tensor]:
    """Logits that are too sure by a factor: labels are drawn from what they would be without it."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(samples, classes, generator=generator)
    return logits * sharpness, torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of scikit-learn whose features are its logits."""

    def fit(self, features: Any, labels: Any) -> "Given":
        self.classes_ = np.unique(labels)
        return self

    def decision_function(self, features: Any) -> Any:
        return features

    def predict(self, features: Any) -> Any:
        return self.classes_[features.argmax(axis=1)]


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_it_is_scikit_learns(sharpness: float) -> None:
    logits, labels = drawn(sharpness=sharpness)
    given = Given().fit(logits.numpy(), labels.numpy())
    reference = CalibratedClassifierCV(FrozenEstimator(given), method="temperature").fit(logits.numpy(), labels.numpy())
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(1 / reference.calibrated_classifiers_[0].calibrators[0].beta_, rel=1e-3)
    assert temperature == pytest.approx(sharpness, rel=0.15)
    expected = reference.predict_proba(logits.numpy())
    assert np.abs((logits / temperature).softmax(dim=1).numpy() - expected).max() < 1e-3


def test_nothing_is_learned_from_right_answers_alone_and_bounds_hold() -> None:
    logits, labels = drawn()
    assert fit_temperature(logits, logits.argmax(dim=1)) == 1
    assert fit_temperature(logits[:0], labels[:0]) == 1
    assert fit_temperature(logits, (logits.argmax(dim=1) + 1) % 7) == 10
    nearly = logits.argmax(dim=1)
    logits[0] = torch.tensor([1e-6, 0, 0, 0, 0, 0, 0])
    nearly[0] = 1
    assert fit_temperature(logits * 1e-4, nearly) == 0.1


def test_of_many_logits_evenly_spaced_ones_are_kept() -> None:
    logits, labels = drawn()
    kept = ValidationLogits(7)
    kept.limit = 200
    kept.space(len(labels))
    for begin in range(0, 600, 32):
        kept.update(logits[begin : begin + 32], labels[begin : begin + 32], begin)
    fitted = kept.compute()
    assert fitted.temperature == fit_temperature(logits[::3], labels[::3])
    sure = (logits[::3] / fitted.temperature).softmax(dim=1).amax(dim=1)
    for coverage in (0.25, 0.5, 0.9, 1.0):
        threshold = threshold_of(fitted.percentiles["probability"], coverage)
        assert float((sure >= threshold).float().mean()) == pytest.approx(coverage, abs=0.011)


@pytest.mark.slow
def test_a_fit_keeps_it_and_all_use_it(run: Run, tmp_path: Path, toy_set: Path) -> None:
    run("fit", "--model.learning_rate=0.003")
    folder = tmp_path / "logs/demo/version_0"
    model = ImageClassifier.load(folder)
    assert model.temperature != 1
    photographs = sorted(toy_set.glob("cars_test/*.jpg"))[:5]
    options = ["--ckpt_path=best", "--tta.enabled=false", "--report.enabled=true", "--report.pictures=0"]
    run("test", *options)
    run("test", *options, "--calibration.enabled=false")
    tables = []
    for name in ("test", "test-2"):
        with (folder / name / "predictions.csv").open() as table:
            tables.append({Path(row["file"]).name: row for row in csv.DictReader(table)})
    scores = [json.loads((folder / name / "test_scores.json").read_text()) for name in ("test", "test-2")]
    assert scores[0] == scores[1]  # the first answers and the loss of the logits
    for file, answer in zip(photographs, model.classify([*photographs]), strict=True):
        with_it, without = (table[file.name] for table in tables)
        first = next(iter(answer))
        assert with_it["class_1"] == without["class_1"] == first
        assert float(with_it["probability_1"]) == pytest.approx(answer[first], abs=1e-5)
        assert float(with_it["probability_1"]) != pytest.approx(float(without["probability_1"]), abs=1e-4)
    run("predict", "--ckpt_path=best", f"--data.predict_dir={photographs[0]}", f"--output={tmp_path / 'one.csv'}")
    with (tmp_path / "one.csv").open() as table:
        (row,) = csv.DictReader(table)
    assert row["probability_1"] == tables[0][photographs[0].name]["probability_1"]


def test_a_fit_can_leave_it_out(run: Run, tmp_path: Path) -> None:
    run("fit", "--calibration.enabled=false", "--trainer.max_epochs=1")
    assert ImageClassifier.load(tmp_path / "logs/demo/version_0").temperature == 1


@pytest.mark.slow
def test_answers_that_are_not_sure_are_unknown(
    run: Run, tmp_path: Path, toy_set: Path, mistake: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", "--model.learning_rate=0.003")
    photographs = toy_set / "cars_test"
    model = ImageClassifier.load(tmp_path / "logs/demo/version_0")
    options = ["--ckpt_path=best", f"--data.predict_dir={photographs}"]
    half = threshold_of(model.fitted.percentiles["probability"], 0.5)
    options_of = {f"--predictions.min_confidence={half:.4f}": round(half, 4), "--predictions.coverage=0.5": half}
    for option, threshold in options_of.items():
        file = tmp_path / f"{option.partition('=')[0]}.csv"
        capsys.readouterr()
        run("predict", *options, option, f"--output={file}")
        with file.open() as table:
            rows = list(csv.DictReader(table))
        sure = [float(row["probability_1"]) >= threshold for row in rows]
        assert 0 < sum(sure) < len(rows)
        assert [row["answer"] for row in rows] == [
            row["class_1"] if flag else "unknown" for row, flag in zip(rows, sure, strict=True)
        ]
        said = f"{len(rows) - sum(sure)} of {len(rows)} answers are less probable than {threshold:.3f}"
        assert said in capsys.readouterr().out
    run("predict", *options, "--predictions.coverage=0.5", f"--output={tmp_path / 'lines.jsonl'}")
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert "unknown" in {line["answer"] for line in lines}
    assert "above 0 and at most 1" in mistake("predict", *options, "--predictions.coverage=90")
    both = ["--predictions.coverage=0.9", "--predictions.min_confidence=0.9"]
    assert "exclude each other" in mistake("predict", *options, *both)
