import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_precision, multiclass_recall

from callbacks.evaluation.answer_record import AnswerRecord
from lightning_modules import ImageClassifier
from lightning_modules.scoring.classification_metrics import ClassificationMetrics, metrics_from_confusion
from lightning_modules.scoring.most_probable import most_probable


def predictions(samples: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (samples,), generator=generator)
    logits = torch.randn(samples, classes, generator=generator) + 2 * torch.nn.functional.one_hot(labels, classes)
    return logits.softmax(dim=1), labels


@pytest.mark.parametrize(("samples", "classes"), [(500, 8), (700, 196), (40, 196), (30, 2), (64, 5), (64, 6)])
def test_scores_equal_scikit_learns(samples: int, classes: int) -> None:
    probabilities, labels = predictions(samples, classes, seed=classes)
    scores = ClassificationMetrics(classes)
    for start in range(0, samples, 7):  # macro averages must not depend on the batches
        scores.update(probabilities[start : start + 7], labels[start : start + 7])
    got = {name: float(value) for name, value in scores.compute().items()}
    predicted = probabilities.argmax(dim=1)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    expected = {
        "loss": log_loss(labels, probabilities.double(), labels=range(classes)),
        "accuracy": accuracy_score(labels, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "classes": len({*labels.tolist(), *predicted.tolist()}),
    }
    if classes > 5:  # of five, the right one is always among the first five
        expected["top5_accuracy"] = top_k_accuracy_score(labels, probabilities, k=5, labels=range(classes))
    assert got == pytest.approx(expected, abs=2e-6)
    matrix = confusion_matrix(labels, predicted, labels=range(classes))
    np.testing.assert_array_equal(scores.confusion.compute().to_dense().numpy(), matrix)


def test_scores_equal_torchmetrics() -> None:
    probabilities, labels = predictions(60, 196, seed=1)  # most classes are absent
    predicted = probabilities.argmax(dim=1)
    matrix = torch.from_numpy(confusion_matrix(labels, predicted, labels=range(196)))
    got = metrics_from_confusion(matrix)
    for name, reference in (
        ("precision", multiclass_precision),
        ("recall", multiclass_recall),
        ("f1", multiclass_f1_score),
    ):
        assert float(got[name]) == pytest.approx(float(reference(predicted, labels, 196, average="macro")), abs=1e-6)


def test_an_empty_matrix_scores_zero() -> None:
    assert all(float(value) == 0 for value in metrics_from_confusion(torch.zeros(3, 3, dtype=torch.int64)).values())


def test_a_reset_forgets() -> None:
    scores = ClassificationMetrics(8)
    scores.update(*predictions(20, 8, seed=0))
    scores.reset()
    probabilities, labels = predictions(30, 8, seed=5)
    scores.update(probabilities, labels)
    assert int(scores.confusion.compute().sum()) == 30
    assert float(scores.compute()["accuracy"]) == pytest.approx(
        float((probabilities.argmax(1) == labels).float().mean())
    )


def test_all_metrics_move_with_the_classifier() -> None:
    model = ImageClassifier("squeezenet1_1", None, ["a", "b"]).to("meta")
    metrics = [module for module in model.modules() if isinstance(module, Metric)]
    assert len(metrics) == 4 * 2  # of each stage, of few classes without top-5; the accuracy of training is a sum
    for metric in metrics:
        assert metric.device.type == "meta"
        states = [state for state in metric.metric_state.values() if isinstance(state, torch.Tensor)]
        assert {state.device.type for state in states} <= {"meta"}


def test_equal_probabilities_are_ranked_alike_everywhere() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2000, 12).mul(4).bfloat16()
    probabilities, labels = logits.float().softmax(dim=1), torch.randint(12, (2000,))
    assert ((probabilities == probabilities.amax(dim=1, keepdim=True)).sum(dim=1) > 1).any()
    values, classes = most_probable(probabilities, 5)
    torch.testing.assert_close(values, probabilities.topk(5).values, rtol=0, atol=0)
    reference = np.argsort(-probabilities.numpy(), axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(classes.numpy(), reference)
    scores = ClassificationMetrics(12)
    scores.update(probabilities, labels)
    record = AnswerRecord(0, 1, with_views=False, norm_order=1)
    record.add({"logits": logits.float(), "plain": probabilities}, labels)
    answers = record.finish()["plain"]
    accuracy = float(np.mean(answers.classes[:, 0] == labels.numpy()))
    assert float(scores.compute()["accuracy"]) == pytest.approx(accuracy, abs=1e-7)
    top5 = float(np.mean((answers.classes == labels.numpy()[:, None]).any(axis=1)))
    assert float(scores.compute()["top5_accuracy"]) == pytest.approx(top5, abs=1e-7)
