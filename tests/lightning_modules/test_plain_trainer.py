"""The classifier with Lightning's own trainer and loaders of the user's own, without a data module."""

import lzma
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.transforms import v2

from datamodules import ToyCarsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import PixelNormalization
from tests.lightning_modules.test_old_checkpoints import OLD_RUN
from tests.support.checkout import CHECKOUT
from tests.support.photos import class_folders
from train import main as command_line

CLASSES = ["bus", "car", "lorry"]
IMAGES = torch.randint(256, (10, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(10) % 3
FLOATS = IMAGES / 255  # as ToTensor makes them


@pytest.fixture
def model() -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier("squeezenet1_1", None, CLASSES, image_size=64)


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip


def loader(*tensors: Tensor) -> DataLoader[Any]:
    dataset: Dataset[Any] = TensorDataset(*tensors)
    return DataLoader(dataset, batch_size=4)


def test_it_fits_tests_and_predicts_every_image(model: ImageClassifier, trainer: Trainer) -> None:
    model.setup()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer.fit(model, loader(FLOATS, LABELS), loader(FLOATS, LABELS))
    assert not torch.equal(model.state_dict()["network.features.0.weight"], before["network.features.0.weight"])
    (scores,) = trainer.test(model, loader(FLOATS, LABELS), verbose=False)
    model.eval()
    with torch.inference_mode():
        expected = model(IMAGES).softmax(dim=1)
    assert scores["test/accuracy"] == pytest.approx(float((expected.argmax(dim=1) == LABELS).float().mean()))
    stacked: Dataset[Any] = IMAGES  # type: ignore[assignment]
    for batches in (
        loader(IMAGES, LABELS),
        loader(FLOATS, LABELS),
        loader(IMAGES),
        DataLoader(stacked, batch_size=4),
        DataLoader([(IMAGES, LABELS, "more")], batch_size=None),  # type: ignore[arg-type]
    ):
        found = trainer.predict(model, batches)
        assert found is not None
        torch.testing.assert_close(torch.cat([batch for batch in found if isinstance(batch, Tensor)]), expected)
    with pytest.raises(MisconfigurationException, match="has to be a tensor of images.* this is a dict"):
        trainer.predict(model, DataLoader([{"image": image} for image in IMAGES]))  # type: ignore[arg-type]
    both = trainer.predict(model, [loader(IMAGES), loader(FLOATS)])
    assert both is not None
    assert [len(found) for found in both] == [3, 3]


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (CHECKOUT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_lines_of_readme_and_documentation_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use, plain = blocks("docs/python.md")
    (elsewhere,) = blocks("docs/using-a-model.md")
    assert blocks("README.md") == [use]
    (tmp_path / "run.ckpt").write_bytes(lzma.decompress((OLD_RUN / "last.ckpt.xz").read_bytes()))
    class_folders(tmp_path / "photos", CLASSES, each=3)
    shutil.copy(tmp_path / "photos/bus/0.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"paths": sorted(map(str, tmp_path.glob("photos/*/*.jpg")))}
    for written, here in {"logs/own_photos/version_0": "run.ckpt", "num_workers=4": "num_workers=1"}.items():
        assert written in use
        use = use.replace(written, here)
    for written, here in {
        '"resnet18", ': '"squeezenet1_1", None, ',
        "224": "32",
        "max_epochs=10": "max_epochs=1",
    }.items():
        assert written in plain
        plain = plain.replace(written, here)
    exec(use, names)  # noqa: S102
    assert len(names["answers"]) == 9
    exec(plain, names)  # noqa: S102
    assert torch.cat(names["answers"]).shape == (9, 3)
    command_line(["export", "run.ckpt", "--output=car.onnx"])
    exec(elsewhere, names)  # noqa: S102
    answer = ImageClassifier.load("run.ckpt").classify("photo.jpg")
    assert names["probabilities"] == pytest.approx([answer[name] for name in names["classes"]], abs=1e-3)


def test_the_type_of_pixels_says_what_they_mean() -> None:
    layer = PixelNormalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    expected = v2.functional.normalize(FLOATS, [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    torch.testing.assert_close(layer(IMAGES), expected)
    assert torch.equal(layer(IMAGES), layer(FLOATS))
    torch.testing.assert_close(layer(v2.functional.to_dtype(IMAGES, torch.float32, scale=True)), expected)
    assert torch.equal(layer(torch.ones(1, 3, 2, 2)), layer(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)))
    larger = v2.functional.resize(FLOATS, [150, 150], interpolation=v2.InterpolationMode.BICUBIC)
    assert float(larger.min()) < 0  # which is no reason to refuse them
    layer(larger)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (IMAGES.float(), "floats from 0 to 255: give uint8 from 0 to 255, or floats from 0 to 1"),
        (v2.functional.normalize(FLOATS, [0.5] * 3, [0.2] * 3), "leave Normalize out"),
        (FLOATS * float("nan"), "floats from nan"),
        (IMAGES.long(), "int64: give uint8"),
        (IMAGES > 99, "bool: give uint8"),
    ],
)
def test_other_pixels_are_refused(model: ImageClassifier, pixels: Tensor, message: str) -> None:
    with pytest.raises(MisconfigurationException, match=message):
        model(pixels)


def test_a_device_waits_for_the_range_of_floats_once() -> None:
    layer = PixelNormalization((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)).to("meta")
    layer.checked = True  # by a first batch
    assert layer(FLOATS.to("meta")).shape == FLOATS.shape


def test_data_modules_are_set_up_without_a_stage(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    data = toy_data()
    data.prepare_data()
    data.setup()
    assert set(data.datasets) == {"train", "val", "test"}
    assert len(data.datasets["test"]) == 40


@pytest.mark.parametrize("label", [2, -7])
def test_labels_of_no_class_are_refused(label: int) -> None:
    model = ImageClassifier("squeezenet1_1", None, ["a", "b"], image_size=32)
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    for step in (model.training_step, model.validation_step, model.test_step):
        with pytest.raises(MisconfigurationException, match="but those of the 2 class_names are 0 to 1"):
            step((images, torch.tensor([0, label])), 0)
    model.test_step((images, torch.tensor([1, -1])), 0)  # an image without a label
