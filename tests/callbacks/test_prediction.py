"""What ``predict`` makes of files, folders, patterns and lists, and of what can't be read among them."""

import csv
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import ToyCarsDataModule
from datamodules.photographs.photograph_search import list_photographs
from datamodules.reading.boxes import widened
from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier
from results.predictions import Prediction, answer_lines, shortest_names
from results.text_table import text_table
from tests.support.processes import run_devices
from train import main

pytestmark = pytest.mark.slow

CROPPED = "--data.crop_to_box=true"
BAD = {"page.jpg": b"<!DOCTYPE html>\n<p>Not found", "torn.jpg": b"\xff\xd8\xff", "void.jpg": b"", "text.jpg": b"a car"}
Predict = Callable[..., list[dict[str, str]]]


FILES = "logs/*/predict*/predictions.csv"  # the checkpoint belongs to no run: its name takes the place of one


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, toy_root: Path) -> Path:
    """A trained network, outside of any run."""
    folder = tmp_path_factory.mktemp("trained")
    options = ["--config=configs/demo.yaml", f"--data.root={toy_root}", "--data.image_size=64", "--data.num_workers=0"]
    options += ["--data.train_images=10", "--data.test_images=5", "--model.backbone=squeezenet1_1"]
    options += ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.enable_progress_bar=false"]
    main(["fit", *options, f"--trainer.logger.init_args.save_dir={folder}"])
    return next(folder.glob("demo/*/checkpoints/last.ckpt")).rename(folder / "mine.ckpt")


@pytest.fixture
def cars(toy_set: Path) -> list[Path]:
    return sorted(toy_set.glob("cars_test/*.jpg"))


@pytest.fixture
def photos(tmp_path: Path, cars: list[Path]) -> Path:
    """Five photographs, among them one in a sub-folder and one without a suffix, and four files that are none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name, car in zip(("a.jpg", "b.jpg", "c[1].jpg", "more/a.jpg", "plain"), cars, strict=False):
        (folder / name).write_bytes(car.read_bytes())
    for name, content in BAD.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def predict(arguments: list[str], checkpoint: Path, tmp_path: Path) -> Predict:
    """Predict these entries: ``predict(["a.jpg"], "--tta.predict=true")``; returns the rows of the table."""

    def call(entries: list[str], *options: str) -> list[dict[str, str]]:
        named = [f"--data.predict_dir+={entry}" for entry in entries]
        main(["predict", *arguments, f"--ckpt_path={checkpoint}", *named, *options])
        table = max(tmp_path.glob(FILES), key=lambda file: file.stat().st_mtime_ns)
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return list(csv.DictReader(file))

    return call


def assert_answers(rows: list[dict[str, str]], checkpoint: Path) -> None:
    """Compare all rows with what the checkpoint alone says about each file, or with why it can't be read."""
    model = ImageClassifier.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    for row in rows:
        written = {row[f"class_{place}"]: row[f"probability_{place}"] for place in range(1, 6)}
        if row["error"]:
            assert written == {"": ""}
            continue
        expected = list(model.classify(read_image(row["file"])).items())[:5]
        assert [float(value) for value in written.values()] == pytest.approx([value for _, value in expected], abs=1e-5)
        assert written[expected[0][0]]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_what_can_not_be_read_is_a_row_and_costs_nothing_else(
    predict: Predict, photos: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    rows = predict(
        [str(photos)], f"--data.num_workers={workers}", "--data.batch_size=2", "--data.on_error=raise",
        "--data.max_skipped=0",
    )  # fmt: skip
    found = {Path(row["file"]).relative_to(photos).as_posix(): row["error"] for row in rows}
    names = ["a.jpg", "b.jpg", "c[1].jpg", "more/a.jpg", "page.jpg", "plain", "text.jpg", "torn.jpg", "void.jpg"]
    assert list(found) == names
    assert {name for name, error in found.items() if error} == set(BAD)
    assert "web page" in found["page.jpg"]
    assert "empty" in found["void.jpg"]
    assert_answers(rows, checkpoint)
    printed = capsys.readouterr().out
    assert "4 of 9 photographs couldn't be read" in printed
    assert "page.jpg" in printed
    assert "not read: the file is empty" in printed
    assert f"predictions: {photos.parent / 'logs/mine/predict/predictions.csv'}" in printed


def test_files_folders_patterns_and_lists(
    predict: Predict, photos: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "lists").mkdir()
    (photos / "lists/one.csv").write_text("../b.jpg\r\n\r\n../gone.jpg\r\n")
    (photos / "lists/two.CSV").write_text('\ufeffnumber,File\n1,"../void.jpg"\n2,../more/a.jpg\n3\n4,\n')
    (photos / "lists/three.csv").write_text("bild,label\na.jpg,x\n")
    (photos / "lists/four.csv").write_text("")
    (photos / "empty").mkdir()
    monkeypatch.chdir(photos.parent)
    entries = ["photos/plain", "photos/more", "./photos/c[1].jpg", "photos/**/a.jpg", "photos/*.png", "nowhere"]
    entries += ["photos/lists/one.csv", "photos/lists/two.CSV", "photos/lists/three.csv", "photos/lists/four.csv"]
    rows = predict([*entries, "photos/empty", "photos/../photos/plain", "photos/lists/no.csv"])
    assert [(os.path.normpath(row["file"]), row["error"]) for row in rows] == [
        ("photos/plain", ""),
        ("photos/more/a.jpg", ""),
        ("photos/c[1].jpg", ""),
        ("photos/a.jpg", ""),
        ("photos/*.png", "matches no file"),
        ("nowhere", "no such file or directory"),
        ("photos/b.jpg", ""),
        ("photos/gone.jpg", "no such file or directory"),
        ("photos/void.jpg", "the file is empty"),
        ("photos/lists/two.CSV, line 4", "cells: 1, columns: 2"),
        ("photos/lists/two.CSV, line 5", "no path here"),
        ("photos/lists/three.csv", "a list needs a column path or file, or has one column only"),
        ("photos/lists/four.csv", "the list is empty"),
        ("photos/empty", "no images in this folder"),
        ("photos/lists/no.csv", "no such file or directory"),
    ]
    assert_answers(rows, checkpoint)


def test_one_name_is_an_entry_too(predict: Predict, cars: list[Path]) -> None:
    assert [row["file"] for row in predict([], f"--data.predict_dir={cars[0]}")] == [str(cars[0])]


def test_a_folder_that_can_not_be_listed_costs_nothing_else(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def guarded(folder: str) -> object:
        if str(folder).endswith("more"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    found = list_photographs(str(photos), cropping=False)
    assert list_photographs(["\udcff.jpg", "é"], cropping=False) == [("\udcff.jpg", None, ""), ("é", None, "")]
    assert [Path(photograph.file).name for photograph in found][:3] == ["a.jpg", "b.jpg", "c[1].jpg"]
    assert found[-1] == (str(photos / "more"), None, "permission denied")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".JSON"])
def test_names_survive_in_every_format(
    predict: Predict, arguments: list[str], checkpoint: Path, cars: list[Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], suffix: str,
) -> None:  # fmt: skip
    names = [os.fsdecode(b"\xff\xe9.jpg"), "Škoda 日本 😀.jpg", "line\nbreak\x1b[31m.jpg", 'quote",comma.jpg']
    folder = tmp_path / "odd"
    files = [folder / name for name in names]
    folder.mkdir()
    for file, car in zip(files, cars, strict=False):
        file.write_bytes(car.read_bytes())
    (folder / "list.csv").write_text(f'"{names[2]}"\n{names[0]}\n', "utf-8", "surrogateescape")
    output = tmp_path / "new" / f"answers{suffix}"
    entries = [f"--data.predict_dir+={entry}" for entry in (files[1], folder / "list.csv", f"{folder}/*", "no")]
    main(["predict", *arguments, f"--ckpt_path={checkpoint}", *entries, f"--predictions.file={output}"])
    order = [*(str(folder / names[index]) for index in (1, 2, 0, 3)), "no"]
    if suffix == ".csv":
        with output.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as table:
            assert [row["file"] for row in csv.DictReader(table)] == order
    else:
        lines = [json.loads(line) for line in output.read_text(encoding="ascii").splitlines()]
        assert [line["file"] for line in lines] == order
        assert [line["error"] for line in lines] == [None] * 4 + ["no such file or directory"]
        assert [len(line["predictions"]) for line in lines] == [5] * 4 + [0]
        assert set(lines[0]["predictions"][0]) == {"class", "probability"}
    printed = capsys.readouterr().out
    assert "line\\nbreak\\x1b[31m.jpg" in printed
    assert "\\udcff" in printed
    assert not list(tmp_path.glob(FILES))


def test_nothing_read_is_a_mistake_with_its_reasons(
    mistake: Callable[..., str], checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    named = [f"--data.predict_dir+={entry}" for entry in ("nowhere", photos / "page.jpg", photos / "*.png")]
    answer = mistake("predict", f"--ckpt_path={checkpoint}", *named)
    assert "None of 3 photographs could be read, the first: nowhere: no such file or directory." in answer
    (table,) = tmp_path.glob(FILES)
    rows = table.read_text().splitlines()
    assert len(rows) == 4
    assert "web page" in rows[2]
    assert "set data.predict_dir" in mistake("predict", f"--ckpt_path={checkpoint}")


def test_a_file_is_never_overwritten(
    mistake: Callable[..., str], checkpoint: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [f"--ckpt_path={checkpoint}", f"--data.predict_dir={photos}"]
    monkeypatch.setattr(ImageClassifier, "predict_step", lambda *_: pytest.fail("photographs were classified"))
    (tmp_path / "mine.csv").write_text("mine")
    assert "exists already" in mistake("predict", *options, f"--predictions.file={tmp_path / 'mine.csv'}")
    assert (tmp_path / "mine.csv").read_text() == "mine"
    assert "no folder to write to" in mistake("predict", *options, f"--predictions.file={tmp_path}/mine.csv/a.csv")
    assert "suffix has to be .csv" in mistake("predict", *options, f"--predictions.file={tmp_path / 'mine.xlsx'}")


def test_boxes_of_a_list_are_cut_out_where_the_run_was_trained_on_crops(
    predict: Predict, toy_data: Callable[..., ToyCarsDataModule], checkpoint: Path, tmp_path: Path
) -> None:
    samples = toy_data().samples("test")
    assert samples.boxes is not None
    files, boxes = [str(file) for file in samples.files[:4]], samples.boxes[:4].tolist()
    lines = [f"{file},{','.join(map(str, box))}\n" for file, box in zip(files, boxes, strict=True)]
    (tmp_path / "boxes.csv").write_text("path,x1,y1,x2,y2\n" + "".join(lines[:3]) + f"{files[3]},,,,\n")
    with pytest.warns(UserWarning, match="1 of these 4 photographs have none and are taken whole, which costs accura"):
        cropped = predict([str(files[0]), str(tmp_path / "boxes.csv")], CROPPED, "--data.box_margin=0.1")
    model = ImageClassifier.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    for row, box in zip(cropped, [*(widened(tuple(box), 0.1) for box in boxes[:3]), None], strict=True):
        expected = list(model.classify(read_image(row["file"], box)).items())[:5]
        assert [float(row[f"probability_{place}"]) for place in range(1, 6)] == pytest.approx(
            [value for _, value in expected], abs=1e-5
        )
    whole = predict([str(tmp_path / "boxes.csv")])
    assert_answers(whole, checkpoint)
    assert whole[:3] != cropped[:3]


def test_boxes_or_their_lack_are_said(
    predict: Predict, cars: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [f"{cars[0]},10,10,40,40", f"{cars[1]},10,10,40", f"{cars[2]},a,1,2,3", f"{cars[3]},900,900,950,950"]
    rows += [f"{cars[4]},nan,1,2,3", f"{cars[5]},1e300,1,2,3"]
    (tmp_path / "boxes.csv").write_text("\n".join(["path,x1,y1,x2,y2", *rows]))
    (tmp_path / "part.csv").write_text(f"path,x1,y1,x2\n{cars[6]},1,2,3\n")
    entries = [str(tmp_path / "boxes.csv"), str(tmp_path / "part.csv")]
    with warnings.catch_warnings(), caplog.at_level("INFO"):
        warnings.filterwarnings("error", message="The network was trained on pictures")
        errors = [row["error"] for row in predict(entries, CROPPED)]
    assert "2 photographs are cut out along their boxes, with data.box_margin 0.05." in caplog.text
    assert errors[0] == ""
    reasons = ("cells: 4", "no four", "outside", "no part", "no part", "all of")
    assert all(reason in error for error, reason in zip(errors[1:], reasons, strict=True))
    caplog.clear()
    with caplog.at_level("INFO"):
        errors = [row["error"] for row in predict(entries)]
    assert [bool(error) for error in errors] == [False, True, *[False] * 5]
    assert "The boxes of 2 photographs are ignored: the network was trained on whole pictures." in caplog.text


def test_two_devices_answer_as_one(arguments: list[str], checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    entries = [photos / "plain", photos, "nowhere", photos / "*.png"]  # 11 rows
    options = [*arguments, f"--ckpt_path={checkpoint}", *(f"--data.predict_dir+={entry}" for entry in entries)]
    for devices in (1, 2):
        output = f"--predictions.file={tmp_path / f'{devices}.csv'}"
        run_devices(["predict", *options, output, f"--data.batch_size={2 * devices}", "--data.num_workers=1"], devices)
    one, two = ((tmp_path / f"{devices}.csv").read_text() for devices in (1, 2))
    assert one == two
    assert len(one.splitlines()) == 12


def test_the_answers_fit_the_terminal() -> None:
    classes = [("Chevrolet Silverado 1500 Classic Extended Cab 2007", 0.914), ("Ram C/V Cargo Van 2012", 0.05)]
    found = [Prediction(f"/photos/{name}.jpg", classes) for name in ("a/1", "b/1", "c/2")]
    found += [Prediction("/photos/torn.jpg", [], "the file is empty, which is a reason that takes up space on a line")]
    narrow, wide = answer_lines(found, 80, limit=10), answer_lines(found, 120, limit=3)
    assert narrow == [
        "photograph     %  class",
        "a/1.jpg     91.4  Chevrolet Silverado 1500 Classic Extended Cab 2007",
        "b/1.jpg     91.4  Chevrolet Silverado 1500 Classic Extended Cab 2007",
        "2.jpg       91.4  Chevrolet Silverado 1500 Classic Extended Cab 2007",
        "torn.jpg          not read: the file is empty, which is a reason that takes up space on a line",
    ]
    assert wide[1] == f"{narrow[1]}  5.0  Ram C/V Cargo Van 2012"
    assert wide[-1] == "... and 1 more"
    assert len(wide) == 5


def test_names_are_as_short_as_they_tell_files_apart() -> None:
    files = ["/x/a/1.jpg", "/y/a/1.jpg", "/y/b/1.jpg", "2.jpg", "1.jpg", "/"]
    assert shortest_names(files) == ["x/a/1.jpg", "y/a/1.jpg", "b/1.jpg", "2.jpg", "1.jpg", "/"]


def test_tables_align_numbers_and_wide_characters() -> None:
    rows = [["日本", "1.5", "x"], ["a\nb", "-", ""], ["cc", "12.25", "yy"], ["d", "runs on over all others"]]
    assert text_table(["name", "score", "kind"], rows) == [
        "name  score  kind",
        "日本    1.5  x",
        "a\\nb      -",
        "cc    12.25  yy",
        "d     runs on over all others",
    ]
    assert text_table(["name"], []) == ["name"]
