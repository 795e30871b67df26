"""Generalised mean pooling (``model.gem_power``) is the formula, trains, is exported, and explains itself."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import ImageClassifier
from lightning_modules.networks.pooling import GeneralizedMean
from train import main

Run = Callable[..., None]
NAMES = ["a", "b"]


def pools_of(model: ImageClassifier) -> list[str]:
    return [name for name, layer in model.network.named_modules() if isinstance(layer, GeneralizedMean)]


def test_it_is_the_formula() -> None:
    features = np.random.default_rng(0).uniform(0, 3, (4, 5, 6, 7))
    pooled = GeneralizedMean(3.0)(torch.from_numpy(features).float())
    expected = (features**3).mean(axis=(2, 3), keepdims=True) ** (1 / 3)
    np.testing.assert_allclose(pooled.numpy(), expected, rtol=1e-5)


def test_one_is_the_average_and_infinity_the_maximum() -> None:
    features = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(GeneralizedMean(1.0)(features), features.mean(dim=(2, 3), keepdim=True))
    torch.testing.assert_close(GeneralizedMean(200.0)(features), features.amax((2, 3), True), rtol=0.02, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_features_and_dead_ones_stay_finite(dtype: torch.dtype) -> None:
    features = torch.stack([torch.full((2, 3, 3), 300.0), torch.zeros(2, 3, 3)]).to(dtype).requires_grad_()
    pooled = GeneralizedMean(3.0)(features)
    assert pooled.dtype == dtype
    torch.testing.assert_close(pooled[0].flatten(), torch.full((2,), 300.0, dtype=dtype), rtol=0.01, atol=0)
    pooled.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("power", [0.5, 3.0, 20.0, 200.0])
def test_powers_of_large_and_of_small_features_keep_their_gradients(power: float) -> None:
    features = torch.rand(1, 6, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features *= torch.tensor([1e-5, 1e-3, 1.0, 30.0, 1e3, 1e4])[:, None, None]
    mine, theirs = features.float().requires_grad_(), features.requires_grad_()
    pooled = GeneralizedMean(power)(mine)
    logarithms = theirs.clamp(min=1e-6).log() * power
    expected = ((logarithms.logsumexp(dim=(2, 3), keepdim=True) - math.log(9)) / power).exp()
    torch.testing.assert_close(pooled, expected.float(), rtol=1e-3, atol=0)
    pooled.sum().backward()
    expected.sum().backward()  # type: ignore[no-untyped-call]
    assert theirs.grad is not None
    torch.testing.assert_close(mine.grad, theirs.grad.float(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "pool"),
    [
        ("resnet18", "avgpool"),
        ("mobilenet_v3_small", "avgpool"),  # whose squeeze-and-excitation averages too
        ("efficientnet_b0", "avgpool"),
        ("timm/tf_efficientnet_lite0", "global_pool.pool"),
        ("timm/resnet10t", "global_pool.pool"),
    ],
)
def test_the_layer_before_the_head_is_exchanged(backbone: str, pool: str) -> None:
    torch.manual_seed(0)
    average, one, three = (ImageClassifier(backbone, None, NAMES, 64, gem_power=power).eval() for power in (None, 1, 3))
    assert (pools_of(average), pools_of(one), pools_of(three)) == ([], [pool], [pool])
    for model in (one, three):
        model.load_state_dict(average.state_dict())
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    if backbone in ("resnet18", "timm/tf_efficientnet_lite0"):  # features of the others may be below 0
        torch.testing.assert_close(one(images), average(images), rtol=1e-3, atol=1e-4)
        assert not torch.allclose(three(images), average(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("backbone", ["squeezenet1_1", "vgg11", "mobilenet_v2", "densenet121"])
def test_a_network_without_such_a_layer_says_so(backbone: str) -> None:
    with pytest.raises(MisconfigurationException, match="model.gem_power needs a network that averages"):
        ImageClassifier(backbone, None, NAMES, 64, gem_power=3.0)


def test_a_power_of_zero_is_refused() -> None:
    with pytest.raises(MisconfigurationException, match="model.gem_power is 0.0: it has to be above 0"):
        ImageClassifier("resnet18", None, NAMES, 64, gem_power=0.0)


@pytest.mark.slow
def test_it_trains_and_is_used_like_any_other(run: Run, tmp_path: Path, toy_set: Path) -> None:
    network = ["--model.backbone=resnet18", "--data.image_size=32", "--model.weights=null"]
    run("fit", *network, "--model.gem_power=3", "--trainer.max_epochs=1")
    first = tmp_path / "logs/demo/version_0"
    assert pools_of(ImageClassifier.load(first)) == ["avgpool"]
    main(["test", str(first)])
    run("test", *network, f"--ckpt_path={first}/checkpoints/best.ckpt")  # by a config that knows nothing of it
    scores = [json.loads((first / folder / "test_scores.json").read_text()) for folder in ("test", "test-2")]
    assert scores[0] == scores[1]
    for other in ("null", "5.0"):
        with pytest.raises(SystemExit) as stop:
            main(["test", str(first), f"--model.gem_power={other}"])
        assert f"was trained with model.gem_power 3.0, but it is set to {other}" in str(stop.value.code)
    picture = next(toy_set.rglob("*.jpg"))
    main(["explain", str(first), str(picture), f"--output={tmp_path / 'seen'}"])
    main(["export", str(first), f"--output={tmp_path / 'cars.onnx'}"])  # which compares it with the run's answers
    assert (tmp_path / "cars.onnx").is_file()
    with pytest.raises(SystemExit) as stop:
        main(["export", str(first), "--format=hub", f"--output={tmp_path / 'hub'}"])
    assert "know no generalised mean (model.gem_power)" in str(stop.value.code)
