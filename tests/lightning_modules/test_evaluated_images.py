"""Which images are evaluated, those of the test part or all, and at which sizes."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datamodules import ToyCarsDataModule
from lightning_modules import ImageClassifier
from tests.support.partly_known_classes import LOG, OWN, RESNET, class_folders, expected, first, own, save, train
from tests.support.partly_known_classes import evaluate as evaluate
from tests.support.partly_known_classes import pictures as pictures
from tests.support.partly_known_classes import trained as trained
from train import main

pytestmark = pytest.mark.slow


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
