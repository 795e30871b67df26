"""The page and the table of an evaluation."""

import base64
import csv
import io
import json
import re
import tracemalloc
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from results.evaluation.answers import Answers, Evaluation
from results.report.cases import choose
from results.report.page import report_page
from results.report.pictures import data_uri, heat_uri, seen_by_network, with_heat
from results.report.tables import class_rows, matrix_cells
from tests.support.checkout import CHECKOUT

Run = Callable[..., None]
NAMES = ["Audi A Coupe 2011", "Audi B Sedan 2012", "BMW C Coupe 2012"]


class Page(HTMLParser):
    """Notes what a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.sections: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [value for name in ("src", "href") if (value := values.get(name))]
        if tag == "h2":
            self.sections.append(str(values["id"]))

    def handle_data(self, data: str) -> None:
        self.text += data


def evaluation(labels: list[int], answers: list[int], sure: list[float]) -> Evaluation:
    first = np.array(answers)
    probabilities = np.array(sure, dtype=np.float32)
    rest = [[index for index in range(3) if index != answer] for answer in answers]
    classes = np.concatenate([first[:, None], np.array(rest).reshape(-1, 2)], axis=1)
    others = np.tile((1 - probabilities)[:, None] / 2, 2)
    best = np.concatenate([probabilities[:, None], others], axis=1).astype(np.float32)
    truth = np.array(labels)
    of_truth = best[np.arange(len(truth)), (classes == truth[:, None]).argmax(axis=1)]
    files = [f"{number}.jpg" for number in range(len(labels))]
    return Evaluation("test", [*NAMES], files, np.arange(len(labels)), truth, Answers(classes, best, of_truth))


def picture(row: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.full((48, 64, 3), 10 * row, dtype=np.uint8)
    return pixels, pixels[:, :48]


@pytest.mark.parametrize("command", ["test", "validate"])
def test_an_evaluation_writes_a_page_and_a_table(run: Run, tmp_path: Path, command: str) -> None:
    run("fit", "--trainer.max_epochs=1")
    run(command, "--ckpt_path=best", "--report.enabled=true", "--report.pictures=4")
    folder, stage = tmp_path / "logs/demo/version_0" / command, {"test": "test", "validate": "val"}[command]
    scores = json.loads((folder / f"{stage}_scores.json").read_text())
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == {"test": 40, "validate": 16}[command]
    for prefix, part in (("", stage), ("tta_", f"{stage}_tta")):
        right = [row[f"{prefix}class_1"] == row["class"] for row in rows]
        assert np.mean(right) == pytest.approx(scores[f"{part}/accuracy"])
        among = [row["class"] in [row[f"{prefix}class_{k}"] for k in range(1, 6)] for row in rows]
        assert np.mean(among) == pytest.approx(scores[f"{part}/top5_accuracy"])
    assert np.mean([float(row["tta_loss"]) for row in rows]) == pytest.approx(scores[f"{stage}_tta/loss"], abs=1e-4)
    assert all(Path(row["file"]).is_file() for row in rows)
    assert all(float(row["probability_1"]) >= float(row["probability_2"]) > 0 for row in rows)

    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.sections == [
        "scores", "confused", "mistakes", "doubtful", "classes", "confusion", "calibration", "coverage", "unknown",
        "groups", "suspects", "origin",
    ]  # fmt: skip
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in page.sources)  # to be read offline
    assert not re.search(r"url\((?!#)|@import|<link|<iframe", text)
    assert f"{scores[f'{stage}/accuracy']:.4f}" in page.text
    assert f"{scores[f'{stage}_tta/accuracy']:.4f}" in page.text
    assert "squeezenet1_1" in page.text
    assert "backbone: squeezenet1_1" in page.text
    assert "where the network looked" in page.text


def test_a_page_without_mistakes_says_so() -> None:
    page = Page(report_page(evaluation([0, 1, 2], [0, 1, 2], [0.9, 0.8, 0.7]), picture, None, {}))
    for sentence in ("No class was taken for another one.", "There is no mistake.", "No label is suspected."):
        assert sentence in page.text
    assert "There is no right answer." not in page.text


def test_a_page_without_right_answers_and_readable_pictures_says_so() -> None:
    page = Page(report_page(evaluation([0, 1], [1, 0], [0.9, 0.8]), lambda _: None, None, {}))
    assert "There is no right answer." in page.text
    assert "not readable" in page.text


def test_names_and_paths_are_text() -> None:
    shown = evaluation([0, 1, 1], [0, 0, 1], [0.9, 0.8, 0.7])
    name = '</script><b onload="x">&amp; 车'
    shown.class_names[1:2] = [name]
    shown.files[1] = "<i>.jpg"
    text = report_page(shown, picture, None, {"run": name})
    page = Page(text)
    assert page.text.count(name) > 3
    assert "<i>.jpg" in page.text
    assert text.count("</script>") == 1


def test_the_pictures_are_those_that_matter() -> None:
    shown = evaluation([0, 0, 0, 1, 1, 2], [1, 1, 0, 1, 1, 0], [0.6, 0.9, 0.5, 0.7, 0.95, 0.99])
    chosen = choose(shown, 4)
    assert chosen.mistakes.tolist() == [5, 1, 0]
    assert chosen.doubtful.tolist() == [2, 3, 4]
    assert chosen.confused == [(1, 4, 2), (5, 2, 1)]  # the surest mistake beside the surest right answer
    page = Page(report_page(shown, picture, None, {}))
    assert f"2 times {NAMES[0]}" in " ".join(page.text.split())
    assert f"once {NAMES[2]}" in " ".join(page.text.split())
    assert class_rows(shown)[0]["name"] == NAMES[2]
    row = next(row for row in class_rows(shown) if row["name"] == NAMES[0])
    assert (row["pictures"], row["confused"], row["times"]) == (3, NAMES[1], 2)


def test_the_matrix_has_the_classes_of_a_make_beside_each_other() -> None:
    shown = evaluation([0, 1, 2, 2], [0, 1, 0, 0], [0.9] * 4)
    shown.class_names[:] = [NAMES[0], NAMES[2], NAMES[1]]
    matrix = matrix_cells(shown)
    assert matrix is not None
    assert matrix["names"] == NAMES
    assert sorted(matrix["cells"]) == [(0, 0, 1), (1, 0, 2), (2, 2, 1)]
    assert matrix["totals"] == [1, 2, 1]
    assert matrix["groups"] == [["Audi", 0], ["BMW", 2]]


def test_heat_lies_where_it_belongs_and_on_the_original() -> None:
    original = np.zeros((40, 80, 3), dtype=np.uint8)
    original[:, 40:] = 200
    resized = np.asarray(Image.fromarray(original).resize((32, 32), Image.Resampling.BOX))
    assert seen_by_network(original, resized) is original
    cropped = original[:, 40:72]
    assert seen_by_network(original, cropped) is cropped
    heat = np.zeros((4, 4), dtype=np.float32)
    heat[0, 3] = 1
    red = with_heat(np.full((40, 80, 3), 128, dtype=np.uint8), heat)[..., 0].astype(int)
    row, column = divmod(int(red.argmax()), 80)
    assert row < 10
    assert column >= 60


def test_a_heat_map_on_a_large_photograph_takes_no_gigabytes() -> None:
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:1500, 0:2000]
    original = np.stack([rows % 256, columns % 256, (rows + columns) // 14], axis=-1).astype(np.uint8)
    heat = random.random((7, 7)).astype(np.float32)
    tracemalloc.start()
    shown = heat_uri(original, heat)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6
    small, large = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"), dtype=float)
        for uri in (shown, data_uri(with_heat(original, heat)))
    )
    assert small.shape == large.shape
    assert np.abs(small - large).mean() < 2


def test_what_is_not_shown_is_counted() -> None:
    wrong = evaluation([0, 1, 2], [0, 2, 2], [0.9, 0.8, 0.7])
    page = Page(report_page(wrong, picture, None, {}, limit=0))
    assert "There is no mistake." not in page.text
    assert "1, of which none are shown (report.pictures)." in page.text
    assert "2, of which none are shown (report.pictures)." in page.text
    right = Page(report_page(evaluation([0, 1], [0, 1], [0.9, 0.8]), picture, None, {}, limit=0))
    assert "There is no mistake." in right.text


@pytest.mark.parametrize("limit", [0, 5])
@pytest.mark.parametrize("readable", [True, False])
def test_a_note_explains_heat_maps_where_there_are_some(limit: int, readable: bool) -> None:
    photo = np.zeros((8, 8, 3), dtype=np.uint8)
    page = report_page(
        evaluation([0, 1], [1, 1], [0.9, 0.8]),
        lambda _: (photo, photo) if readable else None,
        lambda pixels, _: [np.ones((2, 2), dtype=np.float32)] * len(pixels),
        {},
        limit=limit,
    )
    assert ("Grad-CAM" in page) == (limit > 0 and readable)


def test_a_page_for_stanford_cars_is_small() -> None:
    """196 classes and 8,041 pictures of photographic noise, which compress worse than photographs."""
    random = np.random.default_rng(0)
    names = (CHECKOUT / "datamodules/layouts/stanford_cars_classes.txt").read_text().splitlines()
    labels = np.sort(random.integers(len(names), size=8041))
    logits = random.normal(size=(8041, len(names))).astype(np.float32)
    logits[np.arange(8041), labels] += 3.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1)[:, :5]
    rows = np.arange(8041)
    answers = Answers(order, probabilities[rows[:, None], order], probabilities[rows, labels])
    shown = Evaluation("test", names, [f"cars_test/{row:05d}.jpg" for row in rows], rows, labels, answers, answers)
    smooth = random.integers(0, 255, size=(60, 80, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(smooth).resize((640, 480)))
    heat = np.ones((13, 13), dtype=np.float32)
    page = report_page(shown, lambda _: (photo, photo), lambda pixels, _: [heat] * len(pixels), {})
    assert len(page) < 10e6
    for title in ("By make", "By body type", "By year", "AM General", "sorted by make"):
        assert title in page


@pytest.mark.slow
def test_a_network_without_a_map_has_all_else(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no gradient\nhere")

    monkeypatch.setattr("lightning_modules.networks.activation_map.ActivationMap.__call__", fail)
    run("fit", "--trainer.max_epochs=1")
    run("test", "--ckpt_path=best", "--report.enabled=true", "--report.pictures=2", "--tta.enabled=false")
    page = Page((tmp_path / "logs/demo/version_0/test/report.html").read_text())
    assert "where the network looked" not in page.text
    assert "Suspected wrong labels" in page.text
    assert "The report has no heat maps: no gradient here" in "".join(str(warning.message) for warning in recwarn)
