"""``doubts`` finds labels that were exchanged, continues where it was interrupted, and its lists are read."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import ImageFolderDataModule
from results.evaluation.answer_table import answers_csv, read_evaluation
from results.evaluation.answers import Answers, Evaluation
from results.evaluation.suspects import suspects
from results.report.doubts_page import doubts_page
from results.tables import write_csv
from tests.results.test_report import Page
from train import main

COLOURS = {"blue": (20, 40, 200), "green": (30, 190, 40), "red": (210, 30, 30)}
EACH = 24


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a colour in a folder for each, two of which lie in the wrong one."""
    root = tmp_path_factory.mktemp("painted") / "photos"
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / "train" / name).mkdir(parents=True)
        for number in range(EACH):
            pixels = np.array(colour) + random.normal(0, 12, (24, 32, 3)) + random.normal(0, 15, 3)
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(root / "train" / name / f"{number}.png")
    (root / "train/red/3.png").rename(root / "train/blue/wrong1.png")
    (root / "train/green/5.png").rename(root / "train/red/wrong2.png")
    return root


def command(root: Path, output: Path, *extra: str) -> list[str]:
    return [
        "doubts", "--data=datamodules.ImageFolderDataModule", f"--data.root={root}", "--data.image_size=32",
        "--data.batch_size=8", "--data.num_workers=0", "--model.backbone=resnet18", "--model.weights=null",
        "--model.learning_rate=0.001", "--model.warmup_epochs=0", "--trainer.max_epochs=4", "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false", "--previews.enabled=false", "--folds=2", f"--output={output}", *extra,
    ]  # fmt: skip


@pytest.mark.slow
def test_exchanged_labels_are_found_and_an_interrupted_search_goes_on(
    painted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.evaluation.suspects._ODDS", 1)  # networks of a few steps are never sure
    output = tmp_path / "doubts"
    main(command(painted, output))
    out = capfd.readouterr().out
    assert "2 of 72 labels are doubtful (2 folds)" in out
    assert "the networks give 97.2 % of the images their label" in out
    assert "too little" not in out
    assert f"--data.corrected_labels {output / 'relabel.csv'}" in out
    with (output / "relabel.csv").open(newline="") as rows:
        found = {row["path"]: (row["label"], row["label_before"]) for row in csv.DictReader(rows)}
    assert found == {"train/blue/wrong1.png": ("red", "blue"), "train/red/wrong2.png": ("green", "red")}
    assert (output / "exclude.txt").read_text().splitlines()[1:] == ["train/blue/wrong1.png", "train/red/wrong2.png"]
    page = Page((output / "doubts.html").read_text())
    assert "train/blue/wrong1.png" in page.text
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    with (output / "out_of_fold.csv").open(encoding="utf-8-sig", newline="") as rows:
        assert len({row["file"] for row in csv.DictReader(rows)}) == 72

    corrected = ImageFolderDataModule(root=str(painted), corrected_labels=str(output / "relabel.csv"))
    left = ImageFolderDataModule(root=str(painted), exclude=str(output / "exclude.txt"))
    for data, expected in ((corrected, [24, 24, 24]), (left, [24, 23, 23])):
        labels = np.concatenate([data.samples(split).labels for split in ("train", "val")])
        assert np.bincount(labels).tolist() == expected

    answers = (output / "fold-1/validate/predictions.csv").stat().st_mtime_ns
    trained = (output / "fold-1/checkpoints/best.ckpt").stat().st_mtime_ns
    shutil.rmtree(output / "fold-2")
    (output / "relabel.csv").write_text("path,label\n")  # somebody has worked on it
    main(command(painted, output))
    assert (output / "fold-1/validate/predictions.csv").stat().st_mtime_ns == answers
    assert (output / "fold-1/checkpoints/best.ckpt").stat().st_mtime_ns == trained
    assert (output / "relabel.csv").read_text() == "path,label\n"
    assert (output / "relabel-2.csv").exists()
    assert not (output / "exclude-2.txt").exists()

    with pytest.raises(SystemExit) as stop:
        main(command(painted, output, "--trainer.max_epochs=9"))
    assert "holds trainings with other options" in str(stop.value.code)


@pytest.mark.slow
def test_a_failing_training_ends_the_search_with_its_code(painted: Path, tmp_path: Path) -> None:
    broken = tmp_path / "photos"
    shutil.copytree(painted, broken)
    for file in (broken / "train/red").iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(SystemExit) as stop:
        main(command(broken, tmp_path / "doubts"))
    assert stop.value.code == 1
    assert not (tmp_path / "doubts/doubts.html").exists()


def test_what_cannot_be_searched_is_answered_in_one_sentence(
    painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    for extra, message in (
        (["--folds=1"], "--folds is 1: it has to be 2 or more"),
        ([f"--output={taken}"], "which holds something else already"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(command(painted, tmp_path / "doubts", *extra))
        assert message in str(stop.value.code)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit) as stop:
        main(command(painted, tmp_path / "doubts"))
    assert "it is one of 2 processes" in str(stop.value.code)
    assert (taken / "thesis.txt").read_text() == "mine"


def evaluation(views: bool) -> Evaluation:
    """Six pictures of three classes, the last of which was labelled as the first class and looks like the third."""
    labels = np.array([0, 0, 1, 1, 2, 0])
    probabilities = np.array([[0.9, 0.06, 0.04], [0.8, 0.15, 0.05], [0.7, 0.2, 0.1], [0.75, 0.15, 0.1],
                              [0.85, 0.1, 0.05], [0.9, 0.09, 0.01]], dtype=np.float32)  # fmt: skip
    classes = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    truth = probabilities[np.arange(6), (classes == labels[:, None]).argmax(axis=1)]
    answers = Answers(classes, probabilities, truth)
    files = [f'/photos/{number}, "a".jpg' for number in range(6)]
    return Evaluation("val", ["a</script>", "b", "c"], files, np.arange(6), labels, answers, answers if views else None)


@pytest.mark.parametrize("views", [False, True])
def test_a_table_of_answers_is_read_as_it_was_written(tmp_path: Path, views: bool) -> None:
    written = evaluation(views)
    write_csv(tmp_path / "predictions.csv", answers_csv(written))
    found = read_evaluation([tmp_path / "predictions.csv"], written.class_names)
    assert found.files == written.files
    np.testing.assert_array_equal(found.labels, written.labels)
    assert (found.tta is not None) == views
    np.testing.assert_array_equal(found.best.classes, written.best.classes)
    np.testing.assert_allclose(found.best.probabilities, written.best.probabilities, atol=1e-6)
    np.testing.assert_allclose(found.best.of_truth, written.best.of_truth, rtol=1e-5)


def test_the_page_shows_both_classes_and_escapes_names() -> None:
    given = evaluation(views=False)
    found = suspects(given.best, given.labels)
    assert found.rows.tolist() == [5]
    assert found.rivals.tolist() == [2]
    seen: list[str] = []

    def picture(file: str) -> np.ndarray | None:
        seen.append(file)
        return None if file.startswith("/photos/0") else np.full((30, 40, 3), 99, dtype=np.uint8)

    page = doubts_page(given, found, picture, Path("/photos"), ([], {}), 10)
    assert seen == ['/photos/0, "a".jpg', '/photos/4, "a".jpg', '/photos/5, "a".jpg']  # the surest of both classes
    assert page.count("</script>") == 1
    data = json.loads(page.split("const cases = ")[1].split(", examples = ")[0])
    assert data == [{"path": '5, "a".jpg', "label": given.class_names[given.labels[5]], "rival": "c"}]
    empty = doubts_page(
        given, suspects(given.best, np.array([0, 0, 1, 1, 2, 2])), picture, Path("/photos"), ([], {}), 1
    )
    assert "No label is doubtful." in empty
