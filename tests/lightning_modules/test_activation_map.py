"""Where a network looks: against plain PyTorch, and where the object's place is known."""

import pytest
import torch
from torch import nn

from lightning_modules.networks import build_backbone
from lightning_modules.networks.activation_map import ActivationMap

LAYERS = {
    "resnet18": "layer4",
    "vgg11": "avgpool",
    "densenet121": "features",
    "mobilenet_v3_small": "features",
    "efficientnet_b0": "features",
    "convnext_tiny": "features",
    "squeezenet1_1": "classifier.2",
    "shufflenet_v2_x0_5": "conv5",
    "regnet_y_400mf": "trunk_output",
    "vit_b_32": "encoder.layers.encoder_layer_11.ln_1",
    "swin_t": "permute",
    "timm/vit_tiny_patch16_224": "blocks.11.norm1",
    "timm/deit_tiny_distilled_patch16_224": "blocks.11.norm1",
    "timm/swin_tiny_patch4_window7_224": "norm",
    "timm/mixer_s32_224": "norm",
    "timm/tf_efficientnet_lite0": "bn2",
}


@pytest.mark.parametrize("backbone", LAYERS)
def test_every_family_has_a_layer_that_knows_places(backbone: str) -> None:
    torch.manual_seed(0)
    network = build_backbone(backbone, 5, 224).network.eval()
    images = torch.randn(2, 3, 224, 224)
    compute = ActivationMap(network)
    maps, logits = compute(images, torch.tensor([1, 3]))
    assert compute._layer == LAYERS[backbone]
    assert maps.ndim == 3
    assert maps.shape[1] == maps.shape[2] > 1
    assert ((maps >= 0) & (maps <= 1)).all()
    assert (maps.amax(dim=(1, 2)) == 1).any()
    with torch.no_grad():
        assert torch.allclose(logits, network(images), atol=1e-5)  # attention has a faster path without gradients
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.is_grad_enabled()


def test_it_is_what_the_formula_says() -> None:
    torch.manual_seed(0)
    network = build_backbone("resnet18", 5, 96).network.eval()
    images = torch.randn(3, 3, 96, 96)
    front, pool = nn.Sequential(*list(network.children())[:-2]), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    activation = front(images).detach().requires_grad_()
    score = network.get_submodule("fc")(pool(activation))[:, 2].sum()
    (gradient,) = torch.autograd.grad(score, activation)
    expected = (gradient.mean(dim=(2, 3), keepdim=True) * activation).sum(dim=1).relu().detach()
    with torch.inference_mode():  # as in a test
        maps, _ = ActivationMap(network)(images.clone(), torch.full((3,), 2))
    assert torch.allclose(maps, expected / expected.amax(dim=(1, 2), keepdim=True), atol=1e-5)


class Dot(nn.Module):
    """Answers 1 as far as there is red in one place, and 0 otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.AvgPool2d(4))
        self.look[0].weight = nn.Parameter(torch.tensor([[0.1, 0.1, 0.1], [1.0, 0, 0]])[..., None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        looked: torch.Tensor = self.look(images)
        return looked.mean(dim=(2, 3))


def test_it_points_at_the_place() -> None:
    images = torch.zeros(1, 3, 32, 32)
    images[0, 0, 20:24, 8:12] = 1
    (heat,), logits = ActivationMap(Dot().eval())(images)
    assert logits.argmax() == 1
    assert heat.shape == (8, 8)
    assert divmod(int(heat.argmax()), 8) == (5, 2)
    assert heat.sum() == 1


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(Exception, match="training mode"):
        ActivationMap(Dot())


def test_no_layer_that_knows_places_is_one_sentence() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)).eval()
    with pytest.raises(Exception, match="knows places"):
        ActivationMap(network)(torch.zeros(1, 3, 8, 8))
