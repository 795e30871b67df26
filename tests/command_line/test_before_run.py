"""Mistakes in what belongs together are answered before a run begins, and leave no trace."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks import Checkpoint, EarlyStopping, GradualUnfreezing, TestTimeAugmentation
from callbacks.monitors import check_monitors
from datamodules.loading.prepared_picture import prepared
from datamodules.pipelines import as_plain_dict, augment, compose
from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier
from lightning_modules.prediction.preprocessing import evaluated_size, pipeline_of
from tests.support.probes import FrozenAtTheEnd
from train import main

BN = ["--model.backbone=mobilenet_v3_small", "--data.batch_size=1"]
MISTAKES: dict[str, tuple[list[str], str]] = {
    "one image and BatchNorm": (BN, "data.batch_size is 1, but model.backbone mobilenet_v3_small has BatchNorm"),
    "BatchNorm that is unfrozen later": (
        [*BN, "--unfreezing.epochs=[1]", "--trainer.max_epochs=2"], "set data.batch_size to 2 or more"
    ),
    "one image on each of two devices": (
        [BN[0], "--data.batch_size=2", "--trainer.devices=2", "--trainer.strategy=ddp"], "data.batch_size is 2 on 2"
    ),
    "no validation to stop by": (
        ["--trainer.limit_val_batches=0"],
        "early_stopping.monitor is 'val/f1', which there won't be, since nothing is validated",
    ),
    "no validation to unfreeze by": (
        ["--trainer.limit_val_batches=0", "--early_stopping.patience=null", "--unfreezing.patience=1"],
        "unfreezing.monitor is 'val/f1', which there won't be, since nothing is validated",
    ),
    "no such score to keep": (["--checkpoint.monitor=val/top1_accuracy"], "Did you mean 'val/top5_accuracy'?"),
    "no such score to stop": (["--early_stopping.monitor=val/auroc"], "early_stopping.monitor is 'val/auroc', but"),
    "no such score to unfreeze": (
        ["--unfreezing.patience=1", "--unfreezing.monitor=test/f1"], "unfreezing.monitor is 'test/f1', but"
    ),
    "crops of nothing": (["--tta.scales=[1,0.001]"], "tta.scales is [1.0, 0.001], which leaves nothing of images of"),
    "size that the network can't take": (["--data.image_size=8"], "can't take images of 8 pixels"),
    "evaluation that fails on any photograph": (
        ['--data.eval_transforms=[{"class_path": "albumentations.CenterCrop", '
         '"init_args": {"height": 9000, "width": 9000}}]'],
        "data.eval_transforms fail on pictures of 400x300",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_leaves_no_trace(mistake: Callable[..., str], tmp_path: Path, case: str) -> None:
    options, expected = MISTAKES[case]
    assert expected in mistake("fit", *options)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    "options",
    [[*BN, "--unfreezing.epochs=[]"], ["--data.batch_size=1", "--checkpoint.monitor=train/loss"]],
    ids=["frozen BatchNorm", "no BatchNorm"],
)
def test_one_image_at_a_time_is_enough_without_batch_norm(
    run: Callable[..., None], tmp_path: Path, options: list[str]
) -> None:
    run("fit", *options, "--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--previews.enabled=false")
    assert (tmp_path / "logs/demo/version_0/checkpoints/best.ckpt").is_file()


def test_scores_of_ones_own_are_looked_for_later() -> None:
    module = ImageClassifier("squeezenet1_1", None, ["a", "b"])
    own = type("Own", (ImageClassifier,), {})("squeezenet1_1", None, ["a", "b"])
    watching = [Checkpoint(monitor="val/mine", mode="max"), EarlyStopping(monitor="train/accuracy")]
    with pytest.raises(MisconfigurationException, match=r"only train/accuracy, train/loss, val/accuracy, .*, val/f1"):
        check_monitors(_trainer(*watching), module)
    check_monitors(_trainer(*watching), own)
    check_monitors(_trainer(*watching, FrozenAtTheEnd("")), module)
    with pytest.raises(MisconfigurationException, match="train/accuracy"):  # which isn't known after a validation
        check_monitors(_trainer(watching[1], val_check_interval=0.5), module)
    unfreezing = GradualUnfreezing(patience=1, monitor="train/loss")
    check_monitors(_trainer(unfreezing), module)
    rarely = {"check_val_every_n_epoch": 9, "max_epochs": 3}
    with pytest.warns(UserWarning, match="no best.ckpt .trainer.check_val_every_n_epoch is 9 and the run has 3 epochs"):
        check_monitors(_trainer(Checkpoint(), EarlyStopping(), **rarely), module)
    with pytest.raises(MisconfigurationException, match="nothing is validated"):
        check_monitors(_trainer(unfreezing, **rarely), module)


def test_the_names_of_scores_are_those_that_are_logged(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=1", "--previews.enabled=false")
    saved = torch.load(tmp_path / "logs/demo/version_0/checkpoints/last.ckpt", weights_only=True)
    names = ImageClassifier("squeezenet1_1", None, [str(number) for number in range(8)]).metrics.names("val")
    assert {*names, "train/loss", "train/accuracy"} == {*saved["scores"]}


def test_views_need_a_pixel() -> None:
    TestTimeAugmentation(scales=[0.01]).check_size(64)
    with pytest.raises(MisconfigurationException, match="leaves nothing of images of 64 pixels: each has to be 0.016"):
        TestTimeAugmentation(scales=[0.005]).check_size(64)


def test_predict_test_and_classify_see_a_photograph_alike(
    run: Callable[..., None], tmp_path: Path, toy_root: Path
) -> None:
    steps = [
        {"class_path": "albumentations.CenterCrop", "init_args": {"height": 60, "width": 60}},
        {"class_path": "albumentations.RandomCrop", "init_args": {"height": 40, "width": 40}},
        {"class_path": "albumentations.ColorJitter", "init_args": {"p": 0.5}},
    ]
    transforms = f"--data.eval_transforms={json.dumps(steps)}"
    run("fit", transforms, "--trainer.max_epochs=1", "--previews.enabled=false")
    folder = tmp_path / "logs/demo/version_0"
    files = sorted(map(str, (toy_root).rglob("*.jpg")))[:6]
    broken = tmp_path / "broken.jpg"  # whose place a black picture takes
    broken.write_bytes(b"")
    tables = []
    for name, order in (("a", files), ("b", [str(broken), *files[::-1]])):
        main(["predict", str(folder), *order, f"--output={tmp_path / name}.jsonl"])
        rows = map(json.loads, (tmp_path / f"{name}.jsonl").read_text().splitlines())
        tables.append({row["file"]: row for row in rows})
    model = ImageClassifier.load_from_checkpoint(folder / "checkpoints/best.ckpt", weights_only=True)
    for file in files:
        assert tables[0][file] == tables[1][file]
        for photograph in (file, read_image(file)):
            answer = next(iter(model.classify(photograph).values()))
            assert max(_numbers(tables[0][file])) == pytest.approx(answer, abs=1e-4)


def test_random_steps_of_evaluations_follow_from_the_picture(toy_data: Callable[..., Any]) -> None:
    steps = [A.RandomCrop(40, 40), A.OneOf([A.HorizontalFlip(p=1), A.VerticalFlip(p=1)], p=0.7), A.ColorJitter(p=0.5)]
    data = toy_data(eval_transforms=steps)
    plain = as_plain_dict(data.eval_pipeline)
    data.setup("validate")
    dataset = data.datasets["val"]
    seen = [dataset[index][0] for index in range(len(dataset))]
    for index in (3, 0, 3):
        assert torch.equal(dataset[index][0], seen[index])
        assert torch.equal(prepared(pipeline_of(plain, data.image_size), dataset.read(index)), seen[index])
    crops = compose([A.RandomCrop(8, 8)])
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    assert not np.array_equal(augment(crops, pictures[0]), augment(crops, pictures[1]))


def test_the_size_of_evaluation_is_found_with_pictures_of_a_real_size() -> None:
    for side in (250, 1000):
        plain = as_plain_dict(compose([A.CenterCrop(side, side), A.Resize(64, 64)]))
        assert evaluated_size(plain, 32) == 64
    with pytest.raises(MisconfigurationException, match=r"fail on a picture of 30x20 pixels \(CropSizeError"):
        augment(compose([A.CenterCrop(50, 50)]), np.zeros((20, 30, 3), np.uint8))


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [number for item in items for number in _numbers(item)]
    return [value] if isinstance(value, float) else []


def _trainer(*callbacks: Any, **options: Any) -> Any:
    given = {"limit_val_batches": 1.0, "val_check_interval": 1.0, "check_val_every_n_epoch": 1, "max_epochs": 3}
    return SimpleNamespace(callbacks=[*callbacks], **given | options)
