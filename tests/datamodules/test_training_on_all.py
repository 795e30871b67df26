"""A training with all images, after everything has been chosen: ``data.val_fraction`` is 0."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from datamodules import ImageFolderDataModule, StanfordCarsDataModule, StreamingDataModule, ToyCarsDataModule
from datamodules.chunks.conversion import convert
from lightning_modules import ImageClassifier
from train import main

ToyData = Callable[..., ToyCarsDataModule]
ALL = ["--data.val_fraction=0", "--early_stopping.patience=null", "--trainer.max_epochs=1"]


def test_every_image_trains_and_the_last_state_is_tested(
    run: Callable[..., None], mistake: Callable[..., str], tmp_path: Path, toy_data: ToyData
) -> None:
    with pytest.warns(UserWarning, match="last.ckpt and no best.ckpt .data.val_fraction is 0"):
        run("fit", *ALL)
    folder = tmp_path / "logs/demo/version_0"
    assert not (folder / "checkpoints/best.ckpt").exists()
    data = toy_data(val_fraction=0)
    data.setup("fit")
    assert len(data.datasets["train"]) == len(toy_data().layout.read("train")) == 80
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 80 // 16
    main(["test", str(folder)])
    assert json.loads((folder / "test/test_scores.json").read_text())["test/accuracy"] > 0
    assert "no images: data.val_fraction is 0" in mistake("validate", str(folder), "--data.val_fraction=0")
    main(["validate", str(folder), "--data.val_fraction=0.2"])  # which a user may do, though it has trained with them


@pytest.mark.slow
def test_an_evaluation_misses_no_callback_of_the_training(
    run: Callable[..., None], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    run("fit", *ALL, "--checkpoint.monitor=train/loss")
    recwarn.clear()
    main(["test", str(tmp_path / "logs/demo/version_0")])
    assert not [warning for warning in recwarn if "callbacks used to create" in str(warning.message)]


def test_early_stopping_has_nothing_to_watch(mistake: Callable[..., str], tmp_path: Path) -> None:
    answer = mistake("fit", "--data.val_fraction=0")
    assert "'val/f1'" in answer
    assert "data.val_fraction is 0" in answer
    assert "early_stopping.patience to null" in answer
    assert not (tmp_path / "logs").exists()


def test_chunks_have_no_validation_images_either(toy_data: ToyData, tmp_path: Path, arguments: list[str]) -> None:
    pytest.importorskip("litdata")
    convert(toy_data(val_fraction=0), tmp_path / "chunks")
    assert not (tmp_path / "chunks/val").exists()
    data = StreamingDataModule(str(tmp_path / "chunks"))
    assert "converted without any" in str(data.not_validated)
    data.setup("fit")
    assert len(data.datasets["train"]) == 80
    convert(toy_data(), tmp_path / "validated")
    assert StreamingDataModule(str(tmp_path / "validated")).not_validated is None


def test_a_part_of_its_own_and_folds_validate_all_the_same(toy_data: ToyData, tmp_path: Path) -> None:
    assert toy_data(val_fraction=0, folds=3).not_validated is None
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "0.jpg").write_bytes(b"")
    assert ImageFolderDataModule(str(tmp_path), val_fraction=0).not_validated is None
    assert StanfordCarsDataModule(str(tmp_path / "none"), download=True, val_fraction=0).not_validated is not None


def test_lightnings_trainer_validates_nothing(toy_data: ToyData, tmp_path: Path) -> None:
    data: Any = toy_data(val_fraction=0)
    module = ImageClassifier("squeezenet1_1", None, data.class_names, warmup_epochs=0)
    trainer = L.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, default_root_dir=tmp_path)
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 5
    assert not any(name.startswith("val") for name in trainer.callback_metrics)
