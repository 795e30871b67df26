import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torchvision.models import WeightsEnum

from lightning_modules import ImageClassifier
from tests.support.malicious import Malicious

NAMES = ["a", "b", "c"]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v2"])
def test_a_local_file_fills_all_but_the_head(tmp_path: Path, name: str, suffix: str) -> None:
    original = torchvision.models.get_model(name, weights=None)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(original.state_dict(), path)
    else:
        safetensors.torch.save_file(original.state_dict(), path)
    model = ImageClassifier(name, str(path), NAMES)
    state = original.state_dict()
    equal = {
        key: torch.equal(value, state[key])
        for key, value in model.network.state_dict().items()
        if value.shape == state[key].shape
    }
    assert all(equal.values())
    assert {key for key in state if key not in equal} == {key for key in state if key in _head(model)}


def _head(model: ImageClassifier) -> set[str]:
    return {name for name in model.group_names["head"] if "classifier" in name or "fc" in name}


def test_a_transformer_adapts_its_positions_to_another_size(tmp_path: Path) -> None:
    torch.save(torchvision.models.vit_b_32(image_size=224).state_dict(), tmp_path / "vit.pth")
    model = ImageClassifier("vit_b_32", str(tmp_path / "vit.pth"), NAMES, image_size=96)
    assert model(torch.zeros(1, 3, 96, 96, dtype=torch.uint8)).shape == (1, 3)


def test_published_weights_of_timm_are_fitted_to_the_size_of_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    create, asked = timm.create_model, []

    def published(name: str, pretrained: bool = False, **options: Any) -> Any:
        asked.append((pretrained, options.get("img_size")))
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", published)
    model = ImageClassifier("timm/vit_tiny_patch16_224", "DEFAULT", NAMES, image_size=64)
    assert (True, (64, 64)) in asked
    assert model(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 3)


def test_published_weights_that_cannot_be_fitted_name_the_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def published(name: str, pretrained: bool = False, **options: Any) -> Any:
        network = create(name, pretrained=False, **options)
        if pretrained:  # what timm does with what it has downloaded
            network.load_state_dict(create(name, pretrained=False).state_dict())
        return network

    monkeypatch.setattr(timm, "create_model", published)
    with pytest.raises(MisconfigurationException, match="pos_embed has shape .* which depends on data.image_size"):
        ImageClassifier("timm/cait_xxs24_224", "DEFAULT", NAMES, image_size=128)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mobilenet_v2", "mobilenet_v2.safetensors"),
        ("squeezenet1_1", "squeezenet1_1.safetensors"),
        ("timm/tf_efficientnet_lite0", "tf_efficientnet_lite0.safetensors"),
    ],
)
def test_real_weights_fit(weights_dir: Path, name: str, file: str) -> None:
    model = ImageClassifier(name, str(weights_dir / file), NAMES)
    expected = 0.5 if name.startswith("timm/") else 0.485
    assert float(model.normalize.mean.flatten()[0]) == pytest.approx(expected)


def test_weights_that_cannot_be_used_are_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(torchvision.models.resnet18().state_dict(), "resnet18.pth")
    data = Path("resnet18.pth").read_bytes()
    Path("torn.pth").write_bytes(data[: len(data) // 2])
    Path("torn.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    Path("evil.pth").write_bytes(pickle.dumps(Malicious(Path("hacked"))))
    torch.save({"a": Malicious(Path("hacked"))}, "evil_zip.pth")
    torch.save([1, 2, 3], "list.pth")
    broken = torchvision.models.resnet18().state_dict()
    broken["layer1.0.conv1.weight"][0] = float("nan")
    torch.save(broken, "nan.pth")
    for weights, expected in {
        "nothing.pth": "there is no such file",
        "torn.pth": "damaged or no plain file of weights",
        "torn.safetensors": "damaged or no plain file of weights",
        "evil.pth": "damaged or no plain file of weights",
        "evil_zip.pth": "damaged or no plain file of weights",
        "list.pth": "no state dict",
        "nan.pth": "not finite",
        "IMAGENET1K_V7": "Did you mean 'IMAGENET1K_V1'",
    }.items():
        with pytest.raises(MisconfigurationException, match=expected) as refusal:
            ImageClassifier("resnet18", weights, NAMES)
        assert weights in str(refusal.value)
        assert "\n" not in str(refusal.value)
    with pytest.raises(MisconfigurationException, match="don't fit model.backbone resnet50"):
        ImageClassifier("resnet50", "resnet18.pth", NAMES)
    assert not Path("hacked").exists()


def test_without_a_network_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(MisconfigurationException, match="--model.weights FILE"):
        ImageClassifier("resnet18", "DEFAULT", NAMES)


@pytest.mark.parametrize("weights", [None, "DEFAULT"])
@pytest.mark.parametrize(("name", "size"), [("googlenet", 64), ("inception_v3", 80)])
def test_networks_that_torchvision_gives_other_pixels_get_them(
    monkeypatch: pytest.MonkeyPatch, name: str, size: int, weights: str | None
) -> None:
    published = torchvision.models.get_model(name, weights=None, init_weights=False, transform_input=True).eval()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: published.state_dict())
    model = ImageClassifier(name, weights, NAMES).eval()
    own = {key: value for key, value in published.state_dict().items() if key in model.network.state_dict()}
    model.network.load_state_dict(
        {**own, **{f"fc.{key}": value for key, value in model.network.get_submodule("fc").state_dict().items()}}
    )
    published.fc = model.network.get_submodule("fc")
    pixels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    usual = torchvision.transforms.functional.normalize(pixels / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        torch.testing.assert_close(model(pixels), published(usual), rtol=1e-3, atol=1e-5)


def test_published_weights_bring_their_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    state = torchvision.models.resnet18().state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: state)
    model = ImageClassifier("resnet18", "DEFAULT", NAMES)
    assert torch.equal(model.network.get_parameter("conv1.weight"), state["conv1.weight"])
    assert model.normalize.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
