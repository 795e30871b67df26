"""A run that was begun before the classifier became one module is read, and continues."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier
from tests.support.checkout import CHECKOUT

OLD_RUN = CHECKOUT / "tests/data/old_run"
RECIPE = [  # as config.yaml has it, beyond the tests' arguments
    "--model.backbone=shufflenet_v2_x0_5", "--model.learning_rate=0.01", "--trainer.max_epochs=3",
    "--unfreezing.epochs=[]", "--ema.decay=0.9",
]  # fmt: skip


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((OLD_RUN / "expected.json").read_text())
    return content


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Unpack the checkpoint into the folder of its run, stopped after the second of three epochs."""
    path = tmp_path / "logs/demo/version_0/checkpoints/last.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(lzma.decompress((OLD_RUN / "last.ckpt.xz").read_bytes()))
    return path


def test_it_loads_and_classifies_as_before(checkpoint: Path, expected: dict[str, Any], toy_set: Path) -> None:
    model = ImageClassifier.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu")
    assert model.steps_trained == 8
    photograph = min(toy_set.glob("cars_test/*.jpg"))
    answer = model.classify(read_image(str(photograph)))
    assert answer == pytest.approx(expected["classify"], rel=1e-4, abs=1e-9)
    assert [*answer][:3] == [*expected["classify"]][:3]


def test_the_names_of_the_weights_and_of_the_hyper_parameters_are_the_same(checkpoint: Path) -> None:
    old = torch.load(checkpoint, weights_only=True)
    stored = old["hyper_parameters"]
    model = ImageClassifier(**stored)
    assert list(model.state_dict()) == list(old["state_dict"])
    since = {"channels_last": True, "fused": True, "compile": False, "cosine_scale": None, "gem_power": None}
    assert dict(model.hparams) == {**stored, **since}


def test_layers_that_an_old_run_had_unfrozen_keep_their_step(checkpoint: Path) -> None:
    model = ImageClassifier("resnet18", None, ["a", "b"])
    old = torch.load(checkpoint, weights_only=True)
    model.on_load_checkpoint({**old, "opened_at": {"layer4": 3}})
    assert model.layers.unfrozen_at == {"layer4": 3}


def test_it_goes_on_to_the_same_end(
    run: Callable[..., None], checkpoint: Path, expected: dict[str, Any], scores_of: Callable[..., dict[str, Any]]
) -> None:
    near_one = {key: [0.8, 1.2] for key in ("brightness", "contrast", "saturation")}
    crops = {"size": [64, 64], "scale": [0.5, 1.0], "ratio": [0.75, 4 / 3], "area_for_downscale": "image"}
    pipeline = [  # the usual one of that time
        {"class_path": "datamodules.random_relative_crop.RandomRelativeCrop", "init_args": crops},
        {"class_path": "albumentations.HorizontalFlip", "init_args": {"p": 0.5}},
        {"class_path": "albumentations.ColorJitter", "init_args": {**near_one, "hue": [-0.02, 0.02], "p": 0.5}},
    ]
    run("fit", *RECIPE, f"--data.train_transforms={json.dumps(pipeline)}", "--ckpt_path=last")
    new = torch.load(checkpoint, weights_only=True)
    resumed, now, average = expected["resumed"], new["current_model_state"], new["state_dict"]
    assert new["global_step"] == resumed["global_step"]
    ends = [
        (now["network.fc.bias"], resumed["head_bias"]),
        (now["network.fc.weight"][:, ::128], resumed["head_weight"]),
        (average["network.fc.bias"], resumed["average_bias"]),
    ]
    for tensor, numbers in ends:
        torch.testing.assert_close(tensor, torch.tensor(numbers), rtol=1e-4, atol=1e-5)
    scores = scores_of("fit_scores.json")
    assert {name: scores[name] for name in expected["scores"]} == pytest.approx(expected["scores"], rel=1e-4)
