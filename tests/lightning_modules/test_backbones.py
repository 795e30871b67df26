from itertools import chain

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import ImageClassifier
from lightning_modules.networks.backbones import build_backbone
from lightning_modules.networks.layer_groups import layer_groups

NAMES = ["a", "b", "c"]

# one of each family, the smallest; ResNet-50 besides, since it is the default
FAMILIES = {
    "resnet18": 64, "resnet50": 64, "resnext50_32x4d": 64, "wide_resnet50_2": 64, "vgg11": 64, "vgg16_bn": 64,
    "alexnet": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "mobilenet_v3_large": 64, "squeezenet1_1": 64,
    "efficientnet_b0": 64, "efficientnet_v2_s": 64, "convnext_tiny": 64, "densenet121": 64, "swin_t": 64,
    "swin_v2_t": 64, "vit_b_16": 64, "regnet_y_400mf": 64, "shufflenet_v2_x0_5": 64, "mnasnet0_5": 64,
    "googlenet": 64, "inception_v3": 80, "maxvit_t": 224, "timm/tf_efficientnet_lite0": 64, "timm/resnet10t": 64,
    "timm/vit_tiny_patch16_224": 64,
}  # fmt: skip

EXPECTED_GROUPS = {
    "resnet18": ["stem", "layer1", "layer2", "layer3", "layer4", "head"],
    "vgg16_bn": ["stage1", "stage2", "stage3", "stage4", "stage5", "head"],
    "mobilenet_v2": ["stage1", "stage2", "stage3", "stage4", "stage5", "head"],
    "mobilenet_v3_large": ["stage1", "stage2", "stage3", "stage4", "stage5", "head"],
    "convnext_tiny": ["stage1", "stage2", "stage3", "stage4", "head"],
    "densenet121": ["stage1", "stage2", "stage3", "stage4", "stage5", "head"],
    "swin_t": ["stage1", "stage2", "stage3", "stage4", "head"],
    "vit_b_16": ["stem", "blocks1", "blocks2", "blocks3", "blocks4", "head"],
}


@pytest.mark.parametrize(("name", "size"), FAMILIES.items(), ids=FAMILIES)
def test_every_family_is_built_and_trained_a_step(name: str, size: int) -> None:
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    model = ImageClassifier(name, None, NAMES, image_size=size)
    groups = model.group_names
    listed = list(chain.from_iterable(groups.values()))
    assert sorted(listed) == sorted(parameter for parameter, _ in model.network.named_parameters())
    assert len(groups) >= 4
    assert list(groups)[-1] == "head"
    assert groups.get(name) is None
    if name in EXPECTED_GROUPS:
        assert list(groups) == EXPECTED_GROUPS[name]

    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = {group: [parameter.clone() for parameter in model.layers.parameters(group)] for group in groups}
    loss = model.loss(model(images), torch.tensor([0, 2]))
    loss.backward()
    optimizer.step()
    for group, old in before.items():
        assert any(not torch.equal(a, b) for a, b in zip(old, model.layers.parameters(group), strict=True)), group
    assert model.eval()(images).shape == (2, 3)


@pytest.mark.parametrize(
    "name", ["resnet34", "resnet101", "resnet152", "vgg19", "densenet201", "convnext_base", "vit_l_32"]
)
def test_larger_members_divide_like_the_small_ones(name: str) -> None:
    with torch.device("meta"):
        built = build_backbone(name, 196, 224)
    groups = layer_groups(built.network, built.heads)
    assert sorted(chain.from_iterable(groups.values())) == sorted(key for key, _ in built.network.named_parameters())
    assert 5 <= len(groups) <= 6
    assert built.network.get_parameter(f"{built.heads[0]}.weight").shape[0] == 196


@pytest.mark.parametrize(
    ("name", "stages"),
    [("caformer_s18", 5), ("pit_ti_224", 5), ("rdnet_tiny", 9), ("convnext_atto", 6), ("regnety_002", 5)],
)
def test_networks_of_timm_are_divided_even_where_it_knows_no_stages(name: str, stages: int) -> None:
    pytest.importorskip("timm")
    built = build_backbone(f"timm/{name}", 196, 224)
    groups = layer_groups(built.network, built.heads)
    assert sorted(chain.from_iterable(groups.values())) == sorted(key for key, _ in built.network.named_parameters())
    assert [*groups] == [*(f"stage{number}" for number in range(1, stages + 1)), "head"], name
    assert all(parameter.startswith("head.") for parameter in groups["head"])
    assert not groups["stage1"][-1].startswith("stages.")
    assert f"{built.heads[0]}.weight" in groups["head"]


def test_pixels_are_normalised_once_with_the_published_statistics() -> None:
    model = ImageClassifier("resnet18", None, NAMES)
    images = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (images.permute(0, 2, 3, 1) / 255 - mean) / std
    torch.testing.assert_close(model.normalize(images).permute(0, 2, 3, 1), expected)
    lite = ImageClassifier("resnet18", None, NAMES, pixel_mean=[0.5] * 3, pixel_std=[0.5] * 3)
    assert float(lite.normalize(images).abs().max()) <= 1


def test_unknown_networks_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(MisconfigurationException, match="Did you mean 'resnet50'"):
        build_backbone("resnet5o", 3, 64)
    with pytest.raises(MisconfigurationException, match=r"can't be built for data.image_size=70"):
        build_backbone("vit_b_16", 3, 70)
    pytest.importorskip("timm")
    with pytest.raises(MisconfigurationException, match="Did you mean 'tf_efficientnet_lite0'"):
        build_backbone("timm/tf_efficientnet_lit0", 3, 64)
