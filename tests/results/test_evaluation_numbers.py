"""What a report computes, against scikit-learn, cleanlab and plain loops."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from results.evaluation.answers import Answers
from results.evaluation.calibration import reliability
from results.evaluation.coverage import at_coverage, coverage_curve
from results.evaluation.groups import class_groups
from results.evaluation.intervals import accuracy, bootstrap, loss, macro_f1, share, top5_accuracy
from results.evaluation.suspects import confidently_wrong, suspects

CLASSES = 6


def answered(samples: int = 400, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], Answers]:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(samples, CLASSES)) * 2
    labels = random.integers(CLASSES, size=samples)
    logits[np.arange(samples), labels] += 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1)
    rows = np.arange(samples)
    best = probabilities[rows[:, None], order].astype(np.float32)
    return (
        probabilities.astype(np.float32),
        labels,
        Answers(order, best, probabilities[rows, labels].astype(np.float32)),
    )


def test_scores_are_scikit_learns() -> None:
    probabilities, labels, answers = answered()
    everything = slice(None)
    predicted = probabilities.argmax(axis=1)
    assert accuracy(answers, labels)(everything) == accuracy_score(labels, predicted)
    assert macro_f1(answers, labels)(everything) == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert loss(answers, labels)(everything) == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
    within = (np.argsort(-probabilities, axis=1)[:, :5] == labels[:, None]).any(axis=1).mean()
    assert top5_accuracy(answers, labels)(everything) == within


def test_intervals_are_as_wide_as_statistics_has_them() -> None:
    _, labels, answers = answered()
    intervals, difference = bootstrap({"plain": answers, "TTA": answers}, labels, accuracy)
    score, low, high = intervals["plain"]
    width = 1.96 * np.sqrt(score * (1 - score) / len(labels))
    assert low == pytest.approx(score - width, abs=0.006)
    assert high == pytest.approx(score + width, abs=0.006)
    assert difference == (0, 0, 0)  # paired: the same pictures in each draw
    assert bootstrap({"plain": answers}, labels, accuracy)[1] is None
    assert intervals["plain"] == share(answers.hits(labels))
    assert bootstrap({"plain": answers}, answers.classes[:, 0], accuracy)[0]["plain"].low < 1  # all are right
    assert share(np.ones(10, dtype=bool)).low == pytest.approx(0.7225, abs=1e-4)  # Wilson's, from a table


def test_intervals_of_f1_contain_the_true_value_where_classes_are_small() -> None:
    """Percentiles without correction contain it in 62 of 100 samples: draws lack pictures of each class."""
    classes, each, samples = 100, 6, 60
    random = np.random.default_rng(0)
    skill = random.uniform(0.5, 1.0, classes)

    def sample(pictures: int) -> tuple[Answers, npt.NDArray[np.int64]]:
        labels = np.repeat(np.arange(classes), pictures)
        right = random.random(len(labels)) < skill[labels]
        answer = np.where(right, labels, (labels + random.integers(1, 4, len(labels))) % classes)
        return Answers(answer[:, None], np.ones((len(labels), 1), np.float32), np.ones(len(labels), np.float32)), labels

    true = macro_f1(*sample(5000))(slice(None))
    inside = 0
    for _ in range(samples):
        answers, labels = sample(each)
        _, low, high = bootstrap({"plain": answers}, labels, macro_f1, draws=200)[0]["plain"]
        inside += low <= true <= high
    assert inside / samples > 0.85


@pytest.mark.parametrize("score", [accuracy, top5_accuracy, macro_f1, loss])
def test_intervals_stay_in_the_range_of_the_score(score: Any) -> None:
    for samples in (2, 3, 5, 10, 30):
        for seed in range(5):
            _, labels, answers = answered(samples, seed)
            intervals, difference = bootstrap({"a": answers, "b": answers}, labels, score, draws=100)
            assert intervals["a"].low >= 0
            assert intervals["a"].high <= 1 or score is loss
            assert difference is not None
    _, labels, answers = answered(100)
    best = Answers(labels[:, None], np.ones((100, 1), np.float32), np.ones(100, np.float32))
    _, difference = bootstrap({"a": best, "b": answers}, labels, accuracy, draws=100)
    assert difference is not None
    assert difference.high < 0


def test_the_calibration_error_is_torchmetrics_but_for_certainty() -> None:
    probabilities, labels, answers = answered()
    hits = answers.hits(labels)
    given = torch.from_numpy(probabilities), torch.from_numpy(labels)
    expected = multiclass_calibration_error(*given, num_classes=CLASSES, n_bins=15)
    found = reliability(answers.confidence, hits)
    assert found.error == pytest.approx(float(expected), abs=1e-6)
    assert found.counts.sum() == len(labels)
    certain = reliability(np.array([1.0, 1.0, 0.99, 0.95], dtype=np.float32), np.array([True, False, True, True]))
    assert certain.counts.tolist() == [0] * 14 + [4]  # 1 lies in the last bin
    assert certain.error == pytest.approx(abs(0.75 - 0.985))


def test_accuracy_over_coverage_is_what_a_loop_counts() -> None:
    _, labels, answers = answered(50)
    confidence, hits = np.round(answers.confidence, 1), answers.hits(labels)  # with pictures of equal probability
    curve = coverage_curve(confidence, hits)
    area = 0.0
    for threshold, coverage, right in zip(curve.confidence, curve.coverage, curve.accuracy, strict=True):
        chosen = confidence >= threshold - 1e-6
        assert coverage == pytest.approx(chosen.mean())
        assert right == pytest.approx(hits[chosen].mean())
        area += (1 - right) * np.isclose(confidence, threshold).sum() / len(hits)
    assert curve.aurc == pytest.approx(area)
    point = at_coverage(curve, 0.5)
    assert curve.coverage[point] >= 0.5
    assert point == 0 or curve.coverage[point - 1] < 0.5
    assert at_coverage(curve, 1.0) == len(curve.coverage) - 1


def test_suspected_labels_are_cleanlabs() -> None:
    filter_module: Any = pytest.importorskip("cleanlab.filter")
    probabilities, labels, _ = answered()
    wrong = np.random.default_rng(2).choice(len(labels), 40, replace=False)
    labels[wrong] = (labels[wrong] + 1) % CLASSES
    order = np.argsort(-probabilities, axis=1)
    rows = np.arange(len(labels))
    answers = Answers(order, probabilities[rows[:, None], order], probabilities[rows, labels])
    found = np.flatnonzero(confidently_wrong(answers, labels, CLASSES))
    expected = filter_module.find_label_issues(
        labels, probabilities, filter_by="confident_learning", return_indices_ranked_by="self_confidence"
    )
    assert set(found.tolist()) == set(expected.tolist())
    assert len(set(found.tolist()) & set(wrong.tolist())) >= 30


def test_labels_far_less_probable_than_another_class_are_suspected_the_clearest_first() -> None:
    probabilities = np.array([[0.9, 0.09, 0.01], [0.98, 0.019, 0.001], [0.6, 0.3, 0.1], [0.97, 0.02, 0.01]], np.float32)
    classes = np.array([[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]])
    labels = np.array([2, 0, 2, 1])
    truth = probabilities[np.arange(4), (classes == labels[:, None]).argmax(axis=1)]
    found = suspects(Answers(classes, probabilities, truth), labels)
    assert found.rows.tolist() == [1, 0]
    assert found.rivals.tolist() == [2, 0]


def test_names_say_make_body_and_year() -> None:
    names = [
        "AM General Hummer SUV 2000",
        "Audi TT RS Coupe 2012",
        "Ram C/V Cargo Van Minivan 2012",
        "smart fortwo 2012",
    ]
    assert class_groups(names) == {
        "make": ["AM General", "Audi", "Ram", "smart"],
        "body type": ["SUV", "Coupe", "Minivan", ""],
        "year": ["2000", "2012", "2012", "2012"],
    }
    assert class_groups(["cat", "dog 2012", "bird"]) == {}
