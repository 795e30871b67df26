"""How sure answers are by logits, and how well pictures of none of the classes are told from the others."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import AnswerRule, Fitted, best_norm_order, certainty, threshold_of
from results.evaluation.coverage import coverage_curve
from results.evaluation.unknown import separation
from tests.results.test_report import Page
from tests.support.photos import picture
from tests.support.processes import run_devices

Run = Callable[..., None]


def test_the_scores_are_those_of_their_formulas() -> None:
    logits = torch.randn(40, 9, generator=torch.Generator().manual_seed(0)) * 3 + 1
    probabilities = logits.softmax(dim=1)
    given = probabilities, logits
    np.testing.assert_array_equal(certainty("probability", *given, 3), probabilities.max(dim=1).values)
    np.testing.assert_array_equal(certainty("max_logit", *given, 3), logits.max(dim=1).values)
    values = logits.double().numpy()
    centred = values - values.mean(axis=1, keepdims=True)
    for order in (2, 3, 7):
        expected = centred.max(axis=1) / (np.abs(centred) ** order).sum(axis=1) ** (1 / order)
        np.testing.assert_allclose(certainty("normalized_logit", *given, order), expected, rtol=1e-5)
    flat = torch.zeros(2, 9)
    assert certainty("normalized_logit", flat.softmax(1), flat, 2).tolist() == [0, 0]


def test_the_order_of_the_norm_has_the_smallest_area_under_risk_and_coverage() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(300, 12, generator=generator).double() * 2
    labels = torch.where(torch.rand(300, generator=generator) < 0.6, logits.argmax(dim=1), 0)
    hits = (logits.argmax(dim=1) == labels).numpy()
    areas = {
        order: coverage_curve(certainty("normalized_logit", logits, logits, order).numpy(), hits).aurc
        for order in range(2, 11)
    }
    assert areas[best_norm_order(logits, labels)] == pytest.approx(min(areas.values()), abs=1e-9)


def test_known_and_unknown_are_separated_as_scikit_learn_says() -> None:
    random = np.random.default_rng(0)
    known, unknown = random.normal(1, 1, 200).round(1), random.normal(0, 1, 90).round(1)  # with ties
    found = separation(known, unknown)
    truth, scores = np.repeat([1, 0], [200, 90]), np.concatenate([known, unknown])
    assert found.auroc == pytest.approx(roc_auc_score(truth, scores))
    false, true, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    expected = {threshold: (hit, 1 - alarm) for hit, alarm, threshold in zip(true, false, thresholds, strict=True)}
    for threshold, share, refused in zip(np.unique(known)[::-1], found.known, found.refused, strict=True):
        assert (share, refused) == pytest.approx(expected[threshold])
    threshold = np.sort(known)[::-1][189]  # 190 of 200 have at least this score
    assert found.refused_at(0.95) == pytest.approx((unknown < threshold).mean())
    assert separation(np.ones(3), np.zeros(2)).refused_at(1) == 1
    assert separation(np.ones(3), np.ones(2)).auroc == 0.5


def test_earlier_checkpoints_keep_their_percentiles() -> None:
    old = Fitted.from_checkpoint({"temperature": 0.7, "confidences": [0.1, 0.9]})
    assert AnswerRule(coverage=0.5).threshold(old) == pytest.approx(0.5)
    with pytest.raises(Exception, match=r"predictions\.coverage needs a checkpoint .* by this version\."):
        AnswerRule("max_logit", coverage=0.5).threshold(old)
    assert Fitted.from_checkpoint({}) == Fitted()
    assert Fitted.from_checkpoint(Fitted(0.5, {"max_logit": [1.0]}, 4).as_dict()) == Fitted(
        0.5, {"max_logit": [1.0]}, 4
    )


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """Pictures of no car, one of which can't be read."""
    folder = tmp_path / "strangers"
    for number in range(7):
        picture(folder / f"{number}.jpg", seed=number, size=(90, 70))
    (folder / "broken.jpg").write_bytes(b"broken")
    return folder


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as rows:
        return list(csv.DictReader(rows))


@pytest.mark.slow
def test_an_evaluation_says_how_well_others_are_told_from_the_classes(
    run: Run, tmp_path: Path, strangers: Path, capsys: pytest.CaptureFixture[str], toy_root: Path
) -> None:
    run("fit", "--model.learning_rate=0.003", "--model.label_smoothing=0.1")
    options = ["--ckpt_path=best", "--report.enabled=true", "--report.pictures=2", "--report.heat_maps=false"]
    run("test", *options, f"--unknown={strangers}")
    folder = tmp_path / "logs/demo/version_0/test"
    said = capsys.readouterr().out
    *rows, unread = read(folder / "unknown.csv")
    assert (Path(unread["file"]).name, unread["answer"]) == ("broken.jpg", "")
    assert unread["error"]
    assert f"; 1 more couldn't be read, the first: {strangers}/broken.jpg: {unread['error']}" in said
    assert [Path(row["file"]).name for row in rows] == [f"{number}.jpg" for number in range(7)]
    page = Page((folder / "report.html").read_text())
    assert f"7 pictures from {strangers} (1 more couldn't be read)" in page.text

    model = ImageClassifier.load(tmp_path / "logs/demo/version_0")
    assert {*model.fitted.percentiles} == {"probability", "max_logit", "normalized_logit"}
    known_files = [row["file"] for row in read(folder / "predictions.csv")]
    unknown = {}
    for views in ("true", "false"):  # a coverage was found on plain pictures
        given = ["--data.predict_dir", str(known_files).replace("'", '"'), f"--output={tmp_path / views}.csv"]
        run("predict", "--ckpt_path=best", *given, f"--tta.predict={views}", "--predictions.coverage=0.75")
        unknown[views] = [row["file"] for row in read(tmp_path / f"{views}.csv") if row["answer"] == "unknown"]
    assert unknown["true"] == unknown["false"] != []
    uncalibrated = [*given[:2], "--calibration.enabled=false", "--predictions.coverage=0.75"]
    with pytest.raises(SystemExit, match=r"calibration\.enabled\): give predictions\.min_confidence instead"):
        run("predict", "--ckpt_path=best", *uncalibrated)
    for score in ("max_logit", "normalized_logit"):  # by predict, which reads and computes on its own
        values = {}
        for name, files in (("known", known_files), ("unknown", [row["file"] for row in rows])):
            output = tmp_path / f"{score}-{name}.csv"
            given = ["--data.predict_dir", str(files).replace("'", '"')]
            run("predict", "--ckpt_path=best", *given, f"--predictions.score={score}",
                "--predictions.coverage=0.75", f"--output={output}")  # fmt: skip
            predicted = read(output)
            values[name] = [float(row["score"]) for row in predicted]
            threshold = threshold_of(model.fitted.percentiles[score], 0.75)
            assert [row["answer"] for row in predicted] == [
                row["class_1"] if float(row["score"]) >= threshold else "unknown" for row in predicted
            ]
        assert values["unknown"] == pytest.approx([float(row[score]) for row in rows], abs=1e-3)
        area = roc_auc_score([1] * len(known_files) + [0] * 7, values["known"] + values["unknown"])
        told = float(said.split(f" {score}")[0].split()[-1])
        assert told == pytest.approx(area, abs=0.02)  # batches of other sizes, and ties


@pytest.mark.slow
def test_two_devices_say_the_same_of_unknown_pictures(
    run: Run, arguments: list[str], tmp_path: Path, strangers: Path
) -> None:
    run("fit", "--trainer.max_epochs=1")
    options = ["--ckpt_path=best", "--report.enabled=true", "--report.heat_maps=false", f"--unknown={strangers}"]
    run("test", *options)
    run_devices(["test", *arguments, *options, f"--output={tmp_path / 'two'}"], 2)
    alone, both = read(tmp_path / "logs/demo/version_0/test/unknown.csv"), read(tmp_path / "two/unknown.csv")
    assert [row["file"] for row in both] == [row["file"] for row in alone]
    for name in ("probability", "max_logit", "normalized_logit"):
        found = [[float(row[name]) for row in rows if not row["error"]] for rows in (alone, both)]
        assert found[1] == pytest.approx(found[0], abs=2e-4)


def test_mistakes_are_answered_in_one_sentence(run: Run, mistake: Callable[..., str], tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=1", "--calibration.enabled=false")
    (tmp_path / "empty").mkdir()
    test = ["--ckpt_path=best", "--report.enabled=true"]
    assert "where no picture can be read" in mistake("test", *test, f"--unknown={tmp_path / 'empty'}")
    assert "report.unknown (--unknown) needs report.enabled" in mistake("test", "--ckpt_path=best", "--unknown=x")
    predict = ["--ckpt_path=best", "--predictions.score=max_logit"]
    assert "min_confidence is a probability" in mistake("predict", *predict, "--predictions.min_confidence=0.5")
    asked = [f"--data.predict_dir={picture(tmp_path / 'one.jpg')}", "--predictions.coverage=0.5"]
    assert "coverage needs a checkpoint" in mistake("predict", *predict, *asked)
