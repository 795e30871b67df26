"""``classify`` on whatever a program holds, in threads and amid a training."""

import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from datamodules.reading.image_reader import UnreadableImageError, read_image
from lightning_modules import ImageClassifier

CLASSES = ["bus", "car", "lorry"]


@pytest.fixture(scope="module")
def model() -> ImageClassifier:
    """A network with BatchNorm and dropout, whose statistics aren't the initial ones."""
    torch.manual_seed(0)
    built = ImageClassifier("mobilenet_v3_small", None, CLASSES, image_size=32, dropout=0.5)
    with torch.no_grad():
        for _ in range(3):
            built(torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8))
    return built.eval()


@pytest.fixture(scope="module")
def pictures() -> list[npt.NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (40, 50, 3), np.uint8) for _ in range(40)]


def state_of(model: ImageClassifier) -> dict[str, Any]:
    modes = {name: module.training for name, module in model.named_modules()}
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {"modes": modes, "tensors": tensors, "numbers": (torch.get_rng_state(), random.getstate())}


@pytest.mark.parametrize("training", [False, True])
def test_threads_get_the_answers_of_one_after_another_and_the_model_stays_as_it_is(
    model: ImageClassifier, pictures: list[npt.NDArray[np.uint8]], training: bool
) -> None:
    expected = [model.classify(picture) for picture in pictures]
    model.train(training)
    before = state_of(model)
    start = threading.Barrier(8)

    def classify(worker: int) -> list[dict[str, float]]:
        start.wait()
        return [model.classify(picture) for picture in pictures[worker::8]]

    try:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(classify, range(8)))
        after = state_of(model)
    finally:
        model.eval()
    for worker, found in enumerate(answers):
        assert found == expected[worker::8]
    assert after["modes"] == before["modes"]
    assert all(torch.equal(after["tensors"][name], tensor) for name, tensor in before["tensors"].items())
    assert torch.equal(after["numbers"][0], before["numbers"][0])
    assert after["numbers"][1] == before["numbers"][1]


class Classifies(Callback):
    def __init__(self, pictures: list[npt.NDArray[np.uint8]]) -> None:
        self.pictures = pictures

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *others: Any) -> None:
        assert isinstance(pl_module, ImageClassifier)
        answers = pl_module.classify(self.pictures[:3])
        assert answers == pl_module.classify(self.pictures[:3])
        assert pl_module.training


@pytest.mark.parametrize("loaded", [False, True])
def test_a_training_goes_on_as_without_it_and_trains_what_was_loaded_for_use(
    model: ImageClassifier, pictures: list[npt.NDArray[np.uint8]], loaded: bool
) -> None:
    images = torch.randint(256, (12, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    data = TensorDataset(images, torch.arange(12) % 3)
    ends = []
    classifies: list[list[Callback]] = [[], [Classifies(pictures)]]
    for callbacks in classifies:
        trained = ImageClassifier("mobilenet_v3_small", None, CLASSES, image_size=32)
        trained.load_state_dict(model.state_dict())
        trained.train(not loaded)
        trainer = Trainer(
            accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, callbacks=callbacks,
        )  # fmt: skip
        torch.manual_seed(5)
        trainer.fit(trained, DataLoader(data, batch_size=4, shuffle=True))
        ends.append(trained.state_dict())
    assert all(torch.equal(ends[0][name], tensor) for name, tensor in ends[1].items())
    statistics = [name for name in ends[0] if name.endswith("running_mean")]
    assert not any(torch.equal(ends[0][name], model.state_dict()[name]) for name in statistics)


def turned_jpeg(path: Path, picture: npt.NDArray[np.uint8]) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(path, exif=exif, quality=95)
    return path


def test_a_photograph_is_the_same_in_any_form(
    model: ImageClassifier, pictures: list[npt.NDArray[np.uint8]], tmp_path: Path
) -> None:
    colours = pictures[0]
    alpha = np.linspace(0, 255, 50).astype(np.uint8) * np.ones((40, 1), np.uint8)
    transparent = np.dstack([colours, alpha])
    deep = np.random.default_rng(1).integers(0, 65536, (40, 50, 3)).astype(np.uint16)
    grey = colours[..., 0]
    mask = grey > 99
    for name, content in {"colours": colours, "transparent": transparent, "grey": grey}.items():
        Image.fromarray(content).save(tmp_path / f"{name}.png")
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    cv2.imwrite(str(tmp_path / "deep_grey.png"), deep[..., 0])
    see_through = Image.fromarray(deep[..., 0])
    see_through.save(tmp_path / "deep_see_through.png", transparency=int(deep[20, 20, 0]))
    Image.fromarray(mask).save(tmp_path / "mask.png")
    turned_jpeg(tmp_path / "turned.jpg", colours)
    Image.fromarray(colours).quantize(16).save(tmp_path / "palette.png", transparency=3)
    chw, floats = torch.from_numpy(colours).permute(2, 0, 1), colours / np.float32(255)
    forms: dict[str, list[Any]] = {
        "colours.png": [
            str(tmp_path / "colours.png"), colours, colours[::-1][::-1], floats, floats.astype(np.float64),
            floats.astype(np.float16), chw, chw / 255, (chw / 255).half(), (chw / 255).requires_grad_(),
            Image.fromarray(colours), np.dstack([colours, np.full((40, 50), 255, np.uint8)]),
        ],
        "transparent.png": [transparent, torch.from_numpy(transparent).permute(2, 0, 1), transparent / 255],
        "grey.png": [
            grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None], np.dstack([grey] * 3),
        ],
        "deep.png": [deep, deep.astype(">u2"), torch.from_numpy(deep).permute(2, 0, 1)],
        "deep_grey.png": [deep[..., 0], Image.fromarray(deep[..., 0])],
        "deep_see_through.png": [],
        "mask.png": [mask, torch.from_numpy(mask), mask.astype(np.float32)],
        "turned.jpg": [read_image(tmp_path / "turned.jpg")],
        "palette.png": [],
    }  # fmt: skip
    for name, others in forms.items():
        expected = model.classify(tmp_path / name)
        assert [*expected.values()] == sorted(expected.values(), reverse=True)
        assert sum(expected.values()) == pytest.approx(1)
        with Image.open(tmp_path / name) as opened:
            others = others if name == "deep.png" else [*others, opened]  # which Pillow reads with 8 bits
            for place, form in enumerate(others):
                assert model.classify(form) == expected, (name, place)


NOISE = np.random.default_rng(2).random((40, 50, 3)).astype(np.float32)
REFUSED: list[tuple[Any, str]] = [
    (NOISE * 255, "floats go from .* to 25.*give floats from 0 to 1"),
    ((NOISE - 0.5) / 0.2, "aren't normalised"),
    (np.full((40, 50, 3), np.nan), "nan"),
    (np.zeros((40, 50, 3), np.int64), "int64: give uint8"),
    (np.zeros((40, 50, 3), np.uint32), "uint32: give uint8"),
    (np.zeros((40, 50, 2), np.uint8), "1, 3 or 4 channels"),
    (np.zeros((3, 40, 50), np.uint8), r"\(height, width, channels\)"),
    (np.zeros((3, 40, 3), np.uint8), "the first or the last"),
    (np.zeros((0, 50, 3), np.uint8), "no pixels"),
    (np.zeros(50, np.uint8), r"its shape is \(50,\)"),
    (np.zeros((2, 40, 50, 3), np.uint8), "a list of single pictures"),
    (np.full((40, 50), "a"), "<U1"),
    (torch.zeros(40, 50, 3), r"\(channels, height, width\)"),
    (torch.zeros(4, 50, 3), "the first or the last"),
    (torch.zeros(2, 3, 40, 50), "a list of single pictures"),
    (torch.zeros(3, 40, 50, dtype=torch.int32), "int32"),
    (Image.fromarray(NOISE[..., 0] * 9), "floats go from"),
    ("https://example.org/car.jpg", "is a URL"),
    (b"bytes", "^The photograph is of the type bytes"),
    (None, "of the type NoneType: give the path"),
    (7, "of the type int"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=[str(place) for place in range(len(REFUSED))])
def test_what_may_mean_several_things_is_refused_in_a_sentence(
    model: ImageClassifier, given: Any, message: str
) -> None:
    with pytest.raises(MisconfigurationException, match=message) as caught:
        model.classify(given)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


def test_a_list_comes_in_its_order_through_loading_processes(
    model: ImageClassifier, pictures: list[npt.NDArray[np.uint8]], tmp_path: Path
) -> None:
    files: list[Any] = []
    for place, picture in enumerate(pictures[:10]):
        files.append(tmp_path / f"{place}.png")
        Image.fromarray(picture).save(files[-1])
    files[3], files[7] = pictures[3], Image.fromarray(pictures[7])
    answers = model.classify(files, batch_size=4)
    assert answers == model.classify(tuple(files), batch_size=4, num_workers=2)
    for answer, picture in zip(answers, pictures, strict=False):
        assert answer == pytest.approx(model.classify(picture), abs=1e-5)
    assert model.classify([]) == []
    assert model.classify([files[0]]) == [model.classify(files[0])]
    files[5] = tmp_path / "gone.png"
    for workers in (0, 2):
        with pytest.raises(UnreadableImageError) as caught:
            model.classify(files, batch_size=4, num_workers=workers)
        assert str(caught.value) == f"Can't read the image {tmp_path / 'gone.png'}: No such file or directory."
    with pytest.raises(UnreadableImageError, match=r"^photographs\[1\] .*int64"):
        model.classify([pictures[0], pictures[1].astype(np.int64)])
    with pytest.raises(MisconfigurationException, match="batch_size of 1 or more"):
        model.classify(files, batch_size=0)


def test_a_damaged_picture_of_pillow_is_refused(model: ImageClassifier, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((400, 400, 3), np.uint8)).save(tmp_path / "whole.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "whole.png").read_bytes()[:300])
    with Image.open(tmp_path / "torn.png") as torn, pytest.raises(UnreadableImageError, match="can't be classified"):
        model.classify(torn)
