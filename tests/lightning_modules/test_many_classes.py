"""Evaluation with very many classes: nothing grows with the square of the classes."""

import csv
import io
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse import coo_array
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_modules.prediction.temperature import ValidationLogits
from lightning_modules.scoring.classification_metrics import ClassificationMetrics
from lightning_modules.scoring.confusion_counts import ConfusionCounts
from lightning_modules.scoring.most_probable import most_probable
from results.class_report import matrix_csv, report_csv
from results.confusion import most_confused, part_of
from results.figures.confusion_figure import confusion_figure
from train import main

MANY = 10_000


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many elements the largest tensor has that any operation returns."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN204
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, tuple | list) else [found]:
            if isinstance(tensor, torch.Tensor) and not tensor.is_sparse:
                self.elements = max(self.elements, tensor.numel())
        return found


def outcomes(samples: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (samples,), generator=generator)
    guesses = torch.randint(classes, (samples,), generator=generator)
    return torch.where(torch.rand(samples, generator=generator) < 0.6, labels, guesses), labels


def sparse(predicted: torch.Tensor, labels: torch.Tensor, classes: int) -> coo_array:
    return coo_array(confusion_matrix(labels, predicted, labels=range(classes)))


def test_what_is_kept_of_a_batch_does_not_grow_with_the_classes() -> None:
    values, indices = most_probable(torch.rand(32, MANY), 5)
    kept = ValidationLogits(MANY)
    kept.space(50_000)
    for batch in range(8):
        kept.update(torch.rand(32, MANY), torch.zeros(32, dtype=torch.int64), 32 * batch)
    assert values.untyped_storage().nbytes() == 32 * 5 * 4
    assert indices.untyped_storage().nbytes() == 32 * 5 * 8
    assert sum(logits.untyped_storage().nbytes() for logits in kept.logits) == 2 * MANY * 4  # one image of 250


def test_a_batch_allocates_in_proportion_to_its_probabilities() -> None:
    scores = ClassificationMetrics(MANY)
    probabilities, labels = torch.rand(32, MANY).softmax(dim=1), torch.arange(32)
    with Largest() as largest:
        scores.update(probabilities, labels)
    assert largest.elements <= probabilities.numel()


@pytest.mark.parametrize("classes", [100, MANY])
def test_what_is_kept_grows_with_samples_alone(classes: int) -> None:
    scores = ClassificationMetrics(classes)
    for _ in range(5):
        scores.update(torch.rand(8, classes), torch.arange(8))
    kept = [state for metric in scores.children() for state in metric.metric_state.values()]  # type: ignore[operator]
    sizes = [sum(map(len, state)) if isinstance(state, list) else state.numel() for state in kept]
    assert sorted(sizes)[-1] == 5 * 8
    assert sum(sizes) == 5 * 8 + 2 * 3
    with Largest() as largest:
        scores.compute()
    assert largest.elements <= 2 * classes + 2 * 5 * 8


def test_no_batch_waits_for_a_device() -> None:
    # a tensor without values can't be looked into, as waiting for a GPU would
    scores = ClassificationMetrics(10).to("meta")
    scores.update(torch.rand(4, 10, device="meta"), torch.zeros(4, dtype=torch.int64, device="meta"))


def test_very_many_classes_score_as_scikit_learn_has_it() -> None:
    predicted, labels = outcomes(3000, MANY)
    scores = ClassificationMetrics(MANY)
    for start in range(0, len(labels), 500):
        probabilities = torch.full((500, MANY), 1e-9).scatter_(1, predicted[start : start + 500, None], 1)
        scores.update(probabilities, labels[start : start + 500])
    got = {name: float(value) for name, value in scores.compute().items()}
    expected = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    assert [got["precision"], got["recall"], got["f1"]] == pytest.approx(list(expected[:3]), abs=1e-6)
    counts = scores.confusion.compute()
    pairs = zip(*counts.indices().tolist(), counts.values().tolist(), strict=True)
    assert {(true, guess): count for true, guess, count in pairs} == Counter(
        zip(labels.tolist(), predicted.tolist(), strict=True)
    )


def test_a_device_without_samples_sends_what_the_others_can_read() -> None:
    counts = ConfusionCounts(5)
    assert counts.dtype == torch.int64  # of the empty tensor that torchmetrics sends for it
    with pytest.warns(UserWarning, match="before"):
        assert int(counts.compute().sum()) == 0


def test_the_report_of_very_many_classes_equals_scikit_learns() -> None:
    predicted, labels = outcomes(5000, 1500)
    names = [f"class {number}" for number in range(1500)]
    matrix = sparse(predicted, labels, 1500)
    rows = {row["class"]: row for row in csv.DictReader(io.StringIO(report_csv(matrix, names)))}
    reference = precision_recall_fscore_support(labels, predicted, labels=range(1500), zero_division=0)
    dense = matrix.toarray()
    for label, (name, precision, recall, f1, support) in enumerate(zip(names, *reference, strict=True)):
        row = rows[name]
        assert int(row["images"]) == support
        if row["f1"] or support:
            assert [row["precision"], row["recall"], row["f1"]] == [f"{x:.4f}" for x in (precision, recall, f1)]
        mistakes = dense[label] * (np.arange(1500) != label)
        assert int(row["times"]) == mistakes.max()
        assert row["most_confused_with"] == (names[mistakes.argmax()] if mistakes.max() else "")


def test_reports_and_figures_never_write_the_whole_matrix_out() -> None:
    predicted, labels = outcomes(20_000, MANY)
    counts = ConfusionCounts(MANY)
    counts.update(predicted, labels)
    found = counts.compute()
    matrix = coo_array((found.values().numpy(), tuple(found.indices().numpy())), shape=tuple(found.shape))
    names = [f"Make{number // 10} Model{number}" for number in range(MANY)]
    tracemalloc.start()
    report_csv(matrix, names)
    matrix_csv(matrix, names)
    confusion_figure(matrix, names, "title")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MANY * MANY / 2  # bytes: a matrix of single bytes would be twice as large


def test_beyond_a_thousand_classes_the_matrix_is_a_list_of_pairs() -> None:
    predicted, labels = outcomes(4000, 1001)
    names = [f"class {number}" for number in range(1001)]
    rows = list(csv.DictReader(io.StringIO(matrix_csv(sparse(predicted, labels, 1001), names))))
    listed = {(row["true"], row["predicted"]): int(row["count"]) for row in rows}
    pairs = zip(labels.tolist(), predicted.tolist(), strict=True)
    assert listed == Counter((names[true], names[guess]) for true, guess in pairs)
    assert len(listed) == len(rows)


def test_the_classes_of_the_most_frequent_mistakes_are_drawn() -> None:
    matrix = np.diag(np.full(2000, 3))
    matrix[7, 1999], matrix[40, 41], matrix[1500, 7] = 9, 8, 7
    chosen = most_confused(coo_array(matrix), 6)
    assert {7, 40, 41, 1500, 1999} < set(chosen.tolist())
    assert len(chosen) == 6
    np.testing.assert_array_equal(part_of(coo_array(matrix), chosen), matrix[np.ix_(chosen, chosen)])
    names = [f"Make Model{number}" for number in range(2000)]
    figure = confusion_figure(matrix, names, "title")
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"Make Model7", "Make Model1999"} < set(shown)
    assert len(shown) == 30
    assert figure.axes[0].get_title() == "the 30 of 2000 classes with the most frequent mistakes"
    assert figure.axes[1].get_yticklabels()[0].get_text() == "Make Model7\n→ Make Model1999"


@pytest.mark.drawn
@pytest.mark.slow
def test_fit_and_test_with_more_than_a_thousand_classes(
    arguments: list[str], tmp_path: Path, scores_of: Callable[..., dict[str, float]]
) -> None:
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(picture)
    for part, count in (("train", 1002), ("val", 40), ("test", 40)):
        for number in range(count):
            folder = tmp_path / "own" / part / f"class {number}"
            folder.mkdir(parents=True)
            (folder / f"{part}.png").hardlink_to(picture)
    options = [
        *arguments, "--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path / 'own'}",
        "--data.image_size=32", "--model.backbone=resnet18", "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=2", "--previews.enabled=false",
    ]  # fmt: skip
    main(["fit", *options])
    main(["test", *options, "--ckpt_path=last"])
    folder = tmp_path / "logs/demo/version_0/test"
    with (folder / "test_confusion_matrix.csv").open() as file:
        assert sum(int(row["count"]) for row in csv.DictReader(file)) == 40
    with (folder / "test_report.csv").open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == 1002
    assert (folder / "test_confusion_matrix.png").stat().st_size > 10_000
    assert scores_of("test_scores.json")["test/accuracy"] <= 1
