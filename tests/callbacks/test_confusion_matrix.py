import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.metrics import classification_report
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from results.class_report import report_csv
from results.confusion import confused_pairs
from results.figures.confusion_figure import confusion_figure


def matrix_of(classes: int) -> tuple[np.ndarray, list[int], list[int]]:
    random = np.random.default_rng(classes)
    true = random.integers(0, classes, 6 * classes)
    predicted = np.where(random.random(len(true)) < 0.7, true, random.integers(0, classes, len(true)))
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (true, predicted), 1)
    return matrix, true.tolist(), predicted.tolist()


def test_the_report_equals_scikit_learns() -> None:
    matrix, true, predicted = matrix_of(12)
    names = [f"class {number}, with a comma" for number in range(12)]
    expected = classification_report(
        true, predicted, labels=range(12), target_names=names, output_dict=True, zero_division=0
    )
    rows = list(csv.DictReader(io.StringIO(report_csv(matrix, names))))
    assert [float(row["f1"]) for row in rows] == sorted(float(row["f1"]) for row in rows)
    assert {row["class"] for row in rows} == set(names)
    for row in rows:
        reference = expected[row["class"]]
        assert int(row["images"]) == reference["support"]
        for mine, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert float(row[mine]) == pytest.approx(reference[theirs], abs=5e-5)


def test_pairs_are_ordered_by_count() -> None:
    matrix = np.array([[9, 2, 0], [0, 5, 7], [1, 0, 3]])
    assert confused_pairs(matrix, limit=2) == [(1, 2, 7), (0, 1, 2)]
    assert len(confused_pairs(matrix, limit=99)) == 3


def _texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    axes = figure.axes[0]
    return [text.get_text() for text in axes.texts] + [label.get_text() for label in axes.get_xticklabels()]


def test_few_classes_show_names_and_counts() -> None:
    matrix, _, _ = matrix_of(8)
    names = [f"Model {number}" for number in range(8)]
    texts = _texts(confusion_figure(matrix, names, "title"))
    assert set(names) <= set(texts)
    assert {str(count) for count in matrix.flatten() if count} <= set(texts)


def test_many_classes_show_makes_and_the_worst_pairs() -> None:
    matrix, _, _ = matrix_of(196)
    names = [f"Make{number // 4} Model{number} 2012" for number in range(196)]
    figure = confusion_figure(matrix, names, "title")
    texts = _texts(figure)
    assert "Make0" in texts
    assert len([text for text in texts if text]) == 49
    true, predicted, _ = confused_pairs(matrix, limit=1)[0]
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert labels[0] == f"{names[true]}\n→ {names[predicted]}"
    assert len(labels) == 20


@pytest.mark.drawn
def test_fit_and_test_draw_into_tensorboard(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit")
    run("test", "--ckpt_path=best")
    folder = tmp_path / "logs/demo/version_0"
    events = EventAccumulator(str(folder)).Reload()
    tested = EventAccumulator(str(folder / "test")).Reload()
    last = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)["global_step"]
    assert len(events.Images("val/confusion_matrix")) == 2
    assert [image.step for image in tested.Images("test/confusion_matrix")] == [last]
    # Lightning alone would put them at step 0, where the curves of the training begin
    assert [score.step for score in tested.Scalars("test_tta/f1")] == [last]
    with (folder / "test/test_confusion_matrix.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 9
    assert sum(int(count) for row in rows[1:] for count in row[1:]) == 40
    assert (folder / "test/test_report.csv").is_file()
    assert (folder / "test/test_confusion_matrix.png").stat().st_size > 10_000
