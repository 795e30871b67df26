"""A checkpoint that is right on two thirds of its images, other data to test it on, and the scores by scikit-learn.

Tests import the fixtures as ``trained as trained``, since they ask for them by name alone.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from datamodules import ToyCarsDataModule
from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier
from tests.conftest import TINY
from train import main

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
