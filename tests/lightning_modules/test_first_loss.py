"""A network with a new head begins by guessing: its first loss is ln(classes)."""

import math
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.transforms.v2.functional import resize

from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier
from lightning_modules.networks.backbones import build_backbone
from lightning_modules.networks.heads import initialize_head
from lightning_modules.networks.trained_network import TrainedNetwork, take_rows
from tests.lightning_modules.test_backbones import FAMILIES

CLASSES = (2, 11, 196)
# heads that are convolutions, several, behind a norm, of unnormalised networks; the rest as FAMILIES
TIMM = {
    "timm/deit_tiny_distilled_patch16_224": 64, "timm/crossvit_tiny_240": 240, "timm/levit_128s": 224,
    "timm/dla46_c": 64, "timm/resnetv2_18": 64, "timm/repvit_m0_9": 64, "timm/convnext_atto": 64,
    "timm/mobilenetv3_small_050": 64, "timm/nf_regnet_b0": 64, "timm/xcit_nano_12_p16_224": 64,
}  # fmt: skip


@pytest.mark.parametrize(("name", "size"), [*FAMILIES.items(), *TIMM.items()], ids=[*FAMILIES, *TIMM])
def test_the_first_loss_is_that_of_guessing(name: str, size: int) -> None:
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    images = torch.randint(0, 256, (4 if size > 100 else 8, 3, size, size), generator=torch.Generator().manual_seed(1))
    # rows of torchvision's new heads are alike, so that the first of many are a head of few; timm draws by their number
    for built in CLASSES if name.startswith("timm/") else CLASSES[-1:]:
        torch.manual_seed(0)
        model = ImageClassifier(name, None, [str(number) for number in range(built)], image_size=size)
        for layer in model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.momentum = 1.0  # else the statistics of random weights would be those of no picture
        for training in (True, False):
            with torch.no_grad():
                logits = model.train(training)(images.to(torch.uint8))
            for classes in CLASSES[: CLASSES.index(built) + 1]:
                loss = _loss_of_uniform_labels(logits[:, :classes])
                assert loss == pytest.approx(math.log(classes), rel=0.1), (built, classes, training)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("timm/tf_efficientnet_lite0", "tf_efficientnet_lite0.safetensors"),
        ("mobilenet_v2", "mobilenet_v2.safetensors"),
        ("squeezenet1_1", "squeezenet1_1.safetensors"),
    ],
)
def test_so_it_is_with_real_weights_on_photographs(
    name: str, file: str, weights_dir: Path, stanford_cars_root: Path
) -> None:
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    photographs = sorted((stanford_cars_root / "cars_train").glob("*.jpg"))[:16]
    pictures = [torch.from_numpy(read_image(str(path))).permute(2, 0, 1) for path in photographs]
    images = torch.stack([resize(picture, [128, 128]) for picture in pictures])
    for classes in CLASSES:
        torch.manual_seed(0)
        model = ImageClassifier(name, str(weights_dir / file), [str(number) for number in range(classes)])
        for training in (True, False):
            with torch.no_grad():
                loss = _loss_of_uniform_labels(model.train(training)(images))
            assert loss == pytest.approx(math.log(classes), rel=0.1), (classes, training)


def test_all_heads_of_a_distilled_network_are_small_and_exchanged_with_the_classes() -> None:
    pytest.importorskip("timm")
    built = build_backbone("timm/deit_tiny_distilled_patch16_224", 5, 64)
    assert built.heads == ("head", "head_dist")
    for head in built.heads:
        weight, bias = built.network.get_parameter(f"{head}.weight"), built.network.get_parameter(f"{head}.bias")
        assert float(weight.detach().std()) == pytest.approx(0.01, rel=0.1)
        assert not bias.any()
    state = {name: torch.full_like(tensor, 3) for name, tensor in built.network.state_dict().items()}
    other = build_backbone("timm/deit_tiny_distilled_patch16_224", 2, 64)
    assert take_rows(other, TrainedNetwork(Path("a.ckpt"), state, list("abcde")), ["x", "c"]).startswith("1 of 2")
    for head in other.heads:
        rows = other.network.get_parameter(f"{head}.weight").detach()
        assert rows[1].eq(3).all()
        assert float(rows[0].abs().max()) < 0.1


def test_networks_without_a_head_and_heads_of_other_kinds_are_refused() -> None:
    with pytest.raises(MisconfigurationException, match="not Identity"):
        initialize_head(nn.Identity())
    timm = pytest.importorskip("timm")
    name = next((name for name in timm.list_models("*deepseek_vit*enc*")), None)
    if name is None:
        pytest.skip("this version of timm has no encoder alone")
    with torch.device("meta"), pytest.raises(MisconfigurationException, match="has no head"):
        build_backbone(f"timm/{name}", 5, 64)


def _loss_of_uniform_labels(logits: Tensor) -> float:
    """Compute the mean loss over pictures and labels, all of which are equally probable."""
    labels = torch.arange(logits.shape[1])
    return float(cross_entropy(logits.repeat_interleave(len(labels), 0), labels.repeat(len(logits))))
