"""Data that has classes which the checkpoint doesn't know: they are named, or left out and counted."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import StanfordCarsDataModule
from datamodules.chunks.conversion import convert
from datamodules.layouts import CAR_NAMES
from datamodules.streaming import CLASSES, TABLE
from tests.support.checkout import CHECKOUT
from tests.support.partly_known_classes import LOG, OWN, RESNET, ToyData, agree, class_folders, expected, first, own
from tests.support.partly_known_classes import evaluate as evaluate
from tests.support.partly_known_classes import pictures as pictures
from tests.support.partly_known_classes import trained as trained
from train import main

pytestmark = pytest.mark.slow


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
