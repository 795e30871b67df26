"""Runs over data sets in which some images can't be read."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.metrics import accuracy_score

from datamodules import ToyCarsDataModule
from datamodules.loading.prepared_picture import prepared
from datamodules.loading.sampler_key import SamplerKey
from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier

ToyData = Callable[..., ToyCarsDataModule]
SKIP = ["--data.on_error=skip", "--data.max_skipped=0.2"]


@pytest.fixture
def damaged(toy_root: Path, tmp_path: Path, toy_data: ToyData) -> Path:
    """A copy of the drawn cars with three unreadable images in each split."""
    root = tmp_path / "damaged"
    shutil.copytree(toy_root, root)
    for split in ("train", "val", "test"):
        files = toy_data(root=str(root)).samples(split).files
        torn, empty, missing = (Path(str(file)) for file in files[[2, 3, 5]])
        torn.write_bytes(torn.read_bytes()[:900])
        empty.write_bytes(b"")
        missing.unlink()
    return root


def test_the_file_is_named(run: Callable[..., None], mistake: Callable[..., str], damaged: Path) -> None:
    message = mistake("fit", f"--data.root={damaged}", "--data.num_workers=2")
    assert ".jpg" in message
    assert any(reason in message for reason in ("Premature end", "the file is empty", "No such file"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_goes_on_and_counts(
    run: Callable[..., None], scores_of: Callable[..., dict[str, Any]], damaged: Path, workers: int
) -> None:
    where = [f"--data.root={damaged}", f"--data.num_workers={workers}", *SKIP]
    run("fit", *where)
    run("test", *where, "--ckpt_path=last")
    fit = scores_of("fit_scores.json")
    assert (fit["train/skipped"], fit["val/skipped"]) == (3, 3)
    assert scores_of("test_scores.json")["test/skipped"] == 3


@pytest.mark.slow
def test_scores_are_those_of_the_readable_images(
    run: Callable[..., None],
    scores_of: Callable[..., dict[str, Any]],
    damaged: Path,
    tmp_path: Path,
    toy_data: ToyData,
) -> None:
    run("fit", "--calibration.enabled=false")  # the loss of a test is that without it
    run(
        "test",
        f"--data.root={damaged}",
        *SKIP,
        "--data.batch_size=4",
        "--ckpt_path=last",
        "--confusion_matrix.enabled=true",
    )
    data = toy_data(root=str(damaged))
    model = ImageClassifier.load_from_checkpoint(
        tmp_path / "logs/demo/version_0/checkpoints/last.ckpt", weights_only=True
    )
    samples = data.samples("test")
    assert samples.labels is not None
    readable = [index for index in range(len(samples)) if index not in (2, 3, 5)]
    answers = [model.classify(read_image(samples.files[index])) for index in readable]
    truth = samples.labels[readable]
    predicted = [data.class_names.index(next(iter(answer))) for answer in answers]
    scores = scores_of("test_scores.json")
    assert scores["test/accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    losses = [-np.log(answer[data.class_names[label]]) for answer, label in zip(answers, truth, strict=True)]
    assert scores["test/loss"] == pytest.approx(float(np.mean(losses)), abs=1e-4)
    matrix = (tmp_path / "logs/demo/version_0/test/test_confusion_matrix.csv").read_text()
    assert sum(int(cell) for row in list(csv.reader(matrix.splitlines()))[1:] for cell in row[1:]) == len(readable)


def test_too_many_stop_the_run(mistake: Callable[..., str], damaged: Path) -> None:
    message = mistake("fit", f"--data.root={damaged}", "--data.on_error=skip", "--data.max_skipped=0.02")
    assert "More than 1 of 64 train images can't be read" in message or "More than 1 of 16 val" in message
    assert "train.py check" in message


def test_what_comes_instead_follows_from_seed_epoch_and_sample(damaged: Path, toy_data: ToyData) -> None:
    def views(seed: int) -> list[torch.Tensor]:
        data = toy_data(root=str(damaged), seed=seed, on_error="skip", max_skipped=0.2)
        data.setup("fit")
        with pytest.warns(UserWarning, match="Skipped"):
            return [data.datasets["train"][SamplerKey(epoch, 2)][0] for epoch in range(4)]

    first, again, other = views(1), views(1), views(2)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(first, other, strict=True))
    assert len({view.numpy().tobytes() for view in first}) == 4


@pytest.mark.filterwarnings("ignore:Skipped")
@pytest.mark.parametrize("bad", [1, 2, 4])
def test_unreadable_images_that_draw_each_other_are_replaced(toy_data: ToyData, tmp_path: Path, bad: int) -> None:
    data = toy_data(on_error="skip", max_skipped=0.9, seed=1)
    data.setup("fit")
    dataset = data.datasets["train"]
    dataset.samples = dataset.samples.take(np.arange(5))
    dataset.samples.files[:bad] = [str(tmp_path / f"none{number}.jpg") for number in range(bad)]
    for epoch in range(40):
        for index in range(bad):
            picture, label = dataset[SamplerKey(epoch, index)]
            assert label >= 0
            other = int(np.random.default_rng((1, epoch, index, 1)).integers(5))  # as ever, where it can be read
            if other >= bad:
                assert torch.equal(picture, prepared(dataset.transform, dataset.read(other), (1, epoch, other)))
    fresh = toy_data(on_error="skip", max_skipped=0.9, seed=1)  # what was met before makes no difference
    fresh.setup("fit")
    fresh.datasets["train"].samples = dataset.samples
    for epoch in range(40, 60):
        assert torch.equal(fresh.datasets["train"][SamplerKey(epoch, 0)][0], dataset[SamplerKey(epoch, 0)][0])


@pytest.mark.filterwarnings("ignore:Skipped")
def test_where_none_can_be_read_training_ends(toy_data: ToyData) -> None:
    data = toy_data(on_error="skip", max_skipped=1.0)
    data.setup("fit")
    dataset = data.datasets["train"]
    dataset.samples.files[:] = "none.jpg"
    with pytest.raises(MisconfigurationException, match="None of the 64 train images can be read"):
        dataset[SamplerKey(0, 0)]
