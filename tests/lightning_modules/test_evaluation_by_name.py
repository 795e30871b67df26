"""Tests on data that has some of the checkpoint's classes, or others, or rows without a label."""

import csv
import json
import re
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from datamodules import ImageFolderDataModule, StanfordCarsDataModule, ToyCarsDataModule
from datamodules.chunks.conversion import convert
from datamodules.layouts import CAR_NAMES
from datamodules.reading.image_reader import read_image
from datamodules.streaming import CLASSES, TABLE
from lightning_modules import ImageClassifier
from results.class_report import report_csv
from results.figures.confusion_figure import confusion_figure
from runs.class_names import ClassNames
from tests.conftest import TINY
from tests.support.checkout import CHECKOUT
from tests.support.processes import run_devices
from train import main

pytestmark = pytest.mark.slow

ToyData = Callable[..., ToyCarsDataModule]
RESNET = ("--model.backbone=resnet18", "--tta.enabled=false")
LOG = "lightning.pytorch.utilities.rank_zero"
OWN = "--data=datamodules.ImageFolderDataModule"


def train(arguments: list[str], *extra: str) -> None:
    main(["fit", *arguments, "--trainer.max_epochs=1", "--previews.enabled=false", *extra])


@pytest.fixture(scope="module")
def trained(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the eight toy cars that is right on about two thirds of the test images."""
    torch.manual_seed(3)
    data = ToyCarsDataModule(root=str(toy_root), **TINY)
    model = ImageClassifier("resnet18", None, data.class_names, 64, data.preprocessing).eval()
    data.setup("test")
    images = torch.stack([data.datasets["test"][index][0] for index in range(40)])
    labels = torch.from_numpy(data.labels("test"))
    taught = torch.where(torch.arange(40) % 3 == 0, (labels + torch.arange(40)) % 8, labels)
    with torch.no_grad():
        model.network.fc = torch.nn.Identity()
        features = model(images)
        model.network.fc = torch.nn.Linear(512, 8, bias=False)
        targets = torch.nn.functional.one_hot(taught, 8).float()
        model.network.fc.weight.copy_(torch.linalg.lstsq(features, targets, driver="gelsd").solution.T * 10)
        model.network.fc.bias = torch.nn.Parameter(torch.zeros(8))
    path = tmp_path_factory.mktemp("trained") / "toy.ckpt"
    return save(model, path)


def save(model: ImageClassifier, path: Path) -> Path:
    import lightning

    content = {
        "state_dict": model.state_dict(),
        "hyper_parameters": {**model.hparams, "weights": None},
        "pytorch-lightning_version": lightning.__version__,
        "global_step": 4,
        "epoch": 0,
    }
    torch.save(content, path)
    return path


@pytest.fixture
def evaluate(arguments: list[str], trained: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Test the checkpoint on data of the user's own, and read the scores."""

    def call(root: Path, *extra: str, stage: str = "test") -> dict[str, Any]:
        shutil.rmtree(tmp_path / "logs", ignore_errors=True)
        main([stage, *own(arguments, root), f"--ckpt_path={trained}", *RESNET, *extra])
        (file,) = (tmp_path / "logs").rglob(f"{'val' if stage == 'validate' else stage}_scores.json")
        scores: dict[str, Any] = json.loads(file.read_text())
        return scores

    return call


def own(arguments: Sequence[str], root: Path) -> list[str]:
    toy_only = ("--data.train_images", "--data.test_images", "--data.root")
    kept = [argument for argument in arguments if not argument.startswith(toy_only)]
    return [*kept, OWN, f"--data.root={root}"]


@pytest.fixture
def pictures(toy_data: ToyData) -> dict[str, list[Path]]:
    """The test images by class."""
    data = toy_data()
    samples = data.samples("test")
    assert samples.labels is not None
    found: dict[str, list[Path]] = {name: [] for name in data.class_names}
    for file, label in zip(samples.files, samples.labels, strict=True):
        found[data.class_names[label]].append(Path(file))
    return found


def class_folders(root: Path, pictures: dict[str, list[Path]]) -> Path:
    for name, files in pictures.items():
        (root / name).mkdir(parents=True)
        for file in files:
            (root / name / file.name).symlink_to(file)
    return root


def predictions(checkpoint: Path, files: Sequence[Path]) -> list[str]:
    """The classes that the network itself gives, image by image."""
    model = ImageClassifier.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True).eval()
    return [next(iter(model.classify(read_image(str(file))))) for file in files]


def expected(checkpoint: Path, truth: dict[str, list[Path]]) -> dict[str, float]:
    true = [name for name, files in truth.items() for _ in files]
    predicted = predictions(checkpoint, [file for files in truth.values() for file in files])
    labels = sorted({*true, *predicted})
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, predicted, labels=labels, average="macro", zero_division=0
    )
    hits = np.trace(confusion_matrix(true, predicted, labels=labels))
    return {
        "test/accuracy": hits / len(true),
        "test/precision": precision,
        "test/recall": recall,
        "test/f1": f1,
        "test/classes": len(labels),
    }


def agree(scores: dict[str, Any], reference: dict[str, float]) -> None:
    assert {name: scores[name] for name in reference} == pytest.approx(reference, abs=1e-6)
    assert type(scores["test/classes"]) is int


def first(pictures: dict[str, list[Path]], *indices: int) -> dict[str, list[Path]]:
    names = list(pictures)
    return {names[index]: pictures[names[index]] for index in indices}


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


@pytest.mark.drawn
def test_unknown_classes_are_named_or_left_out_and_counted(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    some = first(pictures, 3, 0, 7)
    files = next(iter(pictures.values()))
    photos = {**some, "Zeppelin": files[:2], "Airship": files[2:5]}
    root = class_folders(tmp_path / "photos/test", photos).parent
    with pytest.raises(SystemExit) as stop:
        evaluate(root)
    message = str(stop.value.code)
    assert "2 classes that the checkpoint doesn't know, 'Airship', 'Zeppelin'" in message
    assert "--data.unknown_classes skip" in message
    assert "\n" not in message
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
        scores = evaluate(root, "--data.unknown_classes=skip")
    agree(scores, expected(trained, some))
    assert "5 of 20 test images are left out, of 2 classes" in caplog.text
    assert "'Airship' (3), 'Zeppelin' (2)" in caplog.text
    (matrix,) = (tmp_path / "logs").rglob("test_confusion_matrix.csv")
    counts = [int(cell) for line in matrix.read_text().splitlines()[1:] for cell in re.findall(r",(\d+)", line)]
    assert sum(counts) == 15
    only = class_folders(tmp_path / "others/test", {"Zeppelin": files[:2]}).parent
    with pytest.raises(SystemExit, match="None of the test images is of a class that the checkpoint knows"):
        evaluate(only, "--data.unknown_classes=skip")


def test_an_unknown_class_without_images_is_no_matter(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], tmp_path: Path
) -> None:
    root = class_folders(tmp_path / "photos/test", first(pictures, 3)).parent
    (root / "test/Zeppelin").mkdir()
    assert evaluate(root)["test/classes"] >= 1


def test_classes_of_the_test_part_alone_are_named_or_left_out(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    arguments: list[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    root = class_folders(tmp_path / "photos/train", first(pictures, 0, 1, 2)).parent
    strange = next(iter(pictures.values()))[:2]
    tested = first(pictures, 2, 5)
    class_folders(root / "test", {**tested, "Zeppelin": strange})
    for stage in ("test", "validate"):  # which takes a part of train, whose classes are all known
        if stage == "validate":
            assert evaluate(root, stage=stage)["val/classes"] >= 3
            continue
        with pytest.raises(SystemExit, match="a class that the checkpoint doesn't know, 'Zeppelin'") as stop:
            evaluate(root, stage=stage)
        assert "--data.unknown_classes skip" in str(stop.value.code)
        assert "\n" not in str(stop.value.code)
    with caplog.at_level("INFO", LOG):
        agree(evaluate(root, "--data.unknown_classes=skip"), expected(trained, tested))
    assert "2 of 12 test images are left out, of a class" in caplog.text
    class_folders(root / "val", {**first(pictures, 1), "Airship": strange})
    with pytest.raises(SystemExit, match="'Airship'"):
        evaluate(root, stage="validate")
    with pytest.raises(SystemExit, match="Airship is a class that the first of the parts doesn't have"):
        main(["fit", *own(arguments, root), "--data.batch_size=4", "--data.unknown_classes=skip"])
    capsys.readouterr()
    main(["check", OWN, f"--data.root={root}", f"--output={tmp_path / 'report'}"])
    assert f"{list(tested)[1]} is a class that the first of the parts doesn't have" in capsys.readouterr().out


def test_stanford_cars_leave_unofficial_classes_to_the_checkpoint(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    cars = "--data=datamodules.StanfordCarsDataModule"
    some = first(pictures, 3, 6)
    root = class_folders(tmp_path / "photos/test", {**some, CAR_NAMES[9]: next(iter(pictures.values()))[:3]}).parent
    with pytest.raises(SystemExit, match=re.escape(f"doesn't know, {CAR_NAMES[9]!r}")) as stop:
        evaluate(root, cars, f"--data.root={root}")
    assert "--data.unknown_classes skip" in str(stop.value.code)
    with caplog.at_level("INFO", LOG):
        scores = evaluate(root, cars, f"--data.root={root}", "--data.unknown_classes=skip")
    agree(scores, expected(trained, some))
    assert "3 of 13 test images are left out" in caplog.text
    with pytest.raises(MisconfigurationException, match="none of Stanford Cars' 196"):
        _ = StanfordCarsDataModule(root=str(root)).class_names


@pytest.mark.parametrize("kind", ["folders", "one class", "table"])
@pytest.mark.parametrize("stage", ["test", "validate"])
def test_an_undivided_set_of_another_place_is_evaluated_as_a_whole(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, kind: str, stage: str,
) -> None:  # fmt: skip
    some = first(pictures, *((4,) if kind == "one class" else (1, 4, 6)))
    root = class_folders(tmp_path / "photos", some)
    number = 5 * len(some)
    if kind == "table":
        rows = [f"{file},{name}\n" for name, files in some.items() for file in files]
        shutil.rmtree(root)
        root.mkdir()
        (root / "cars.csv").write_text(f"path,label\n{''.join(rows)}{next(iter(pictures.values()))[0]},\n")
        number += 1
    else:
        (root / "Zeppelin").mkdir()
    before = sorted(root.rglob("*"))
    with caplog.at_level("INFO", LOG):
        scores = evaluate(root, stage=stage)
    reference = expected(trained, some)
    prefix = "test" if stage == "test" else "val"
    assert {name: scores[name.replace("test", prefix)] for name in reference} == pytest.approx(reference, abs=1e-6)
    said = f"isn't divided: all {number} images are {'tested' if stage == 'test' else 'validated'}."
    assert [said in record.getMessage() for record in caplog.records].count(True) == 1
    assert ("1 of 16" in caplog.text) == (kind == "table")
    assert sorted(root.rglob("*")) == before


@pytest.mark.drawn
def test_where_it_was_trained_only_the_test_images_are_tested(
    arguments: list[str], pictures: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    root = class_folders(tmp_path / "photos", first(pictures, 0, 1, 2, 3))
    train(own(arguments, root), "--data.batch_size=4", *RESNET)
    run = tmp_path / "logs/demo/version_0"
    record = root / "split.csv"
    recorded = record.read_bytes()
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    for number, place in enumerate((None, "photos", "link")):
        record.unlink()  # as where it couldn't be written
        main(["test", str(run), *([f"--data.root={place}"] if place else [])])
        assert count_tested(run, number) == 4
        assert record.read_bytes() == recorded
    other = class_folders(tmp_path / "others", first(pictures, 2, 3))
    main(["test", str(run), f"--data.root={other}"])
    assert count_tested(run, 3) == 10
    assert not (other / "split.csv").exists()
    (other / "split.csv").write_text(record.read_text())  # one that is divided is no matter of ours
    for name, files in first(pictures, 0, 1).items():
        (other / name).mkdir()
        for file in files:
            (other / name / file.name).symlink_to(file)
    main(["test", str(run), f"--data.root={other}"])
    assert count_tested(run, 4) == 4


def count_tested(run: Path, number: int) -> int:
    (file,) = (run / ("test" if not number else f"test-{number + 1}")).rglob("test_confusion_matrix.csv")
    return sum(int(cell) for line in file.read_text().splitlines()[1:] for cell in re.findall(r",(\d+)", line))


def test_a_checkpoint_without_a_config_takes_a_typed_place_for_another(
    trained: Path, arguments: list[str], pictures: dict[str, list[Path]], tmp_path: Path
) -> None:
    root = class_folders(tmp_path / "photos", first(pictures, 0, 1, 2, 3))
    config = tmp_path / "photos.yaml"
    config.write_text(f"data:\n  class_path: datamodules.ImageFolderDataModule\n  init_args:\n    root: {root}\n")
    options = [argument for argument in own(arguments, root) if not argument.startswith(("--data.root", OWN))]
    main(["test", *options, f"--config={config}", f"--ckpt_path={trained}", *RESNET])
    assert (root / "split.csv").is_file()


def table(path: Path, rows: Sequence[tuple[Path, str, str]]) -> Path:
    path.write_text("path,label,split\n" + "".join(f"{file},{label},{split}\n" for file, label, split in rows))
    return path


def test_rows_without_a_label_are_left_out_and_counted(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], trained: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    some = {name: files[:3] for name, files in first(pictures, 1, 2).items()}
    rows = [(file, "" if file in some[name] else name, "test") for name in some for file in pictures[name]]
    rest = {name: pictures[name][3:] for name in some}
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
        scores = evaluate(table(tmp_path / "cars.csv", rows))
    agree(scores, expected(trained, rest))
    assert "6 of 10 test images have no label and are left out of the scores" in caplog.text
    with pytest.raises(SystemExit, match="None of the 10 test images has a label") as stop:
        evaluate(table(tmp_path / "cars.csv", [(file, "", split) for file, _, split in rows]))
    assert "\n" not in str(stop.value.code)


def test_training_needs_labels_and_two_classes_but_no_labelled_test(
    arguments: list[str], pictures: dict[str, list[Path]], tmp_path: Path
) -> None:
    rows = [(file, name, "train") for name in first(pictures, 0, 1) for file in pictures[name]]
    rows += [(file, name, "val") for name in first(pictures, 0, 1) for file in pictures[name]]
    unlabelled = [(file, "", "test") for file in pictures[next(iter(pictures))]]
    root = table(tmp_path / "cars.csv", [*rows, *unlabelled])
    small = "--data.batch_size=4"
    train(own(arguments, root), small)
    options = [OWN, f"--data.root={root}", small]
    table(root, [*rows, (rows[0][0], "", "train")])
    with pytest.raises(SystemExit, match="cars.csv has no label for "):
        main(["fit", *own(arguments, root), *options])
    table(root, [row for row in rows if row[1] == next(iter(pictures))])
    with pytest.raises(SystemExit, match="but it takes two to tell apart"):
        main(["fit", *own(arguments, root), *options])


def test_unlabelled_numbers_stay_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"path": ["a", "b", "c"], "label": pa.array([7, None, 12]), "split": ["train", "test", "train"]}
    parquet.write_table(pa.table(columns), tmp_path / "cars.parquet")
    data = ImageFolderDataModule(root=str(tmp_path / "cars.parquet"))
    assert data.class_names == ["12", "7"]
    assert data.read("test").labels == [-1]


def test_names_are_the_same_but_for_composition_and_slashes() -> None:
    known = ClassNames(["Ram C/V Van", "Citroën", "A/B", "A-B", "x"])
    assert known.find("Ram C-V Van") == 0
    assert known.find(unicodedata.normalize("NFD", "Citroën")) == 1
    assert [known.find("A/B"), known.find("A-B")] == [2, 3]
    assert known.find("X") is None
    assert ClassNames(["A/B", "A-B"]).find("A\u002db") is None
    assert ClassNames(["é/B", "é-B"]).find(unicodedata.normalize("NFD", "é-B")) is None  # which of the two?


def test_a_stream_leaves_out_the_right_images(
    arguments: list[str], toy_data: ToyData, trained: Path, tmp_path: Path, pictures: dict[str, list[Path]]
) -> None:
    convert(toy_data(), tmp_path / "stream")
    some = list(pictures)[:3]
    lines = (tmp_path / "stream" / TABLE).read_text()
    for name in list(pictures)[3:]:  # all others become unknown
        lines = lines.replace(name, f"Not {name}")
    lines = re.sub(rf'(cars_test/[^,]*"?),"?{some[0]}"?,', r'\1,"",', lines)
    (tmp_path / "stream" / TABLE).write_text(lines)
    names = (tmp_path / "stream" / CLASSES).read_text().splitlines()
    (tmp_path / "stream" / CLASSES).write_text("".join(f"{'' if n in some else 'Not '}{n}\n" for n in names))
    toy_only = ("--data.train_images", "--data.test_images", "--data.val_fraction", "--data.root")
    kept = [argument for argument in arguments if not argument.startswith(toy_only)]
    options = [*kept, "--config", str(CHECKOUT / "configs/streaming.yaml"), f"--data.root={tmp_path / 'stream'}"]
    main(["test", *options, f"--ckpt_path={trained}", "--data.unknown_classes=skip", *RESNET])
    (file,) = (tmp_path / "logs").rglob("test_scores.json")
    agree(json.loads(file.read_text()), expected(trained, {name: pictures[name] for name in some[1:]}))


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


@pytest.mark.parametrize("backbone", ["vit_b_32", "timm/vit_tiny_patch16_224"])
def test_a_size_that_a_transformer_cannot_take_is_one_sentence(
    mistake: Callable[..., str], run: Callable[..., None], tmp_path: Path, backbone: str
) -> None:  # fmt: skip
    if backbone.startswith("timm/"):
        pytest.importorskip("timm")
    model = ImageClassifier(backbone, None, ToyCarsDataModule().class_names, image_size=96)
    checkpoint = save(model, tmp_path / "vit.ckpt")
    options = [f"--model.backbone={backbone}", f"--ckpt_path={checkpoint}"]
    for size in ("--data.image_size=64", "--data.eval_scale=1.5"):
        answer = mistake("test", *options, *(["--data.image_size=96"] if "scale" in size else []), size)
        assert f"model.backbone {backbone} can't take images of {64 if '64' in size else 144} pixels" in answer
        assert "trained at 96, so set data.image_size to 96 and data.eval_scale to 1" in answer
    run("test", *options, "--data.image_size=48", "--data.eval_scale=2", "--tta.enabled=false")
    assert list((tmp_path / "logs").rglob("test_scores.json"))


def test_convolutional_networks_take_other_sizes(
    evaluate: Callable[..., dict[str, Any]], pictures: dict[str, list[Path]], tmp_path: Path
) -> None:
    root = class_folders(tmp_path / "photos/test", first(pictures, 0, 1)).parent
    with pytest.warns(UserWarning, match="prepared in another way"):
        evaluate(root, "--data.image_size=96")


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


def test_classes_may_be_called_as_other_programs_call_nothing(tmp_path: Path) -> None:
    (tmp_path / "cars.csv").write_text("path,label,split\na,NA,test\nb,null,test\nc,,test\nd,x,test\n")
    data = ImageFolderDataModule(root=str(tmp_path / "cars.csv"))
    labels = data.read("test").labels
    assert labels is not None
    assert [*data.class_names, ""][labels[2]] == ""
    assert [data.class_names[label] for label in labels[[0, 1, 3]]] == ["NA", "null", "x"]
