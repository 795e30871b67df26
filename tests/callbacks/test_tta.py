from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from callbacks import TestTimeAugmentation
from lightning_modules import ImageClassifier


def striped(batch: int) -> Tensor:
    """Images that differ from their neighbours, and from their own mirror images."""
    images = torch.arange(batch, dtype=torch.float32)[:, None, None, None] * 9 + torch.linspace(0, 100, 40)
    return images.expand(batch, 3, 32, 40).to(torch.uint8)


def test_row_i_of_every_view_is_image_i() -> None:
    images = striped(7)
    tta = TestTimeAugmentation(scales=[1.0, 0.8, 0.6], shift=0.5)
    views = list(tta.views(images))
    assert len(views) == 1 + 2 * 5 * 2
    for view in views:
        assert view.shape == images.shape
        assert view.dtype == torch.uint8
        brightness = view.float().mean(dim=(1, 2, 3))
        assert (brightness.diff() > 5).all()  # the order of the batch, in every view


def test_views_are_what_they_are_called() -> None:
    images = striped(2)
    (flip,) = TestTimeAugmentation(scales=[1.0]).views(images)
    assert torch.equal(flip, images.flip(-1))
    assert list(TestTimeAugmentation(flip=False, scales=[1.0]).views(images)) == []
    (centre,) = TestTimeAugmentation(flip=False, scales=[0.5]).views(images)
    expected = torch.nn.functional.interpolate(
        images[..., 8:24, 10:30].float(), size=(32, 40), mode="bilinear", antialias=True, align_corners=False
    )
    assert (centre.float() - expected).abs().max() <= 1
    corners = list(TestTimeAugmentation(flip=False, scales=[0.5], shift=1.0).views(images))
    assert len(corners) == 5
    assert corners[1].float().mean() < corners[2].float().mean()  # left is darker than right


def test_probabilities_are_averaged_not_logits() -> None:
    model = ImageClassifier("squeezenet1_1", None, ["a", "b", "c"]).eval()
    images = striped(5).repeat(1, 1, 2, 2)
    tta = TestTimeAugmentation()
    with torch.inference_mode():
        model.views = tta.views
        _, plain, averaged = model.scores(images)
        expected = torch.stack([model(view).softmax(1) for view in [images, *tta.views(images)]]).mean(dim=0)
        torch.testing.assert_close(averaged, expected)
        torch.testing.assert_close(plain, model(images).softmax(1))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["test", "validate"])
def test_plain_scores_are_left_alone(
    run: Callable[..., None], scores_of: Callable[..., dict[str, Any]], stage: str
) -> None:
    prefix = "val" if stage == "validate" else "test"
    run("fit")
    run(stage, "--ckpt_path=best", "--tta.enabled=false")
    plain = scores_of(f"{prefix}_scores.json")
    run(stage, "--ckpt_path=best")
    both = scores_of(f"{prefix}_scores.json")
    assert not [name for name in plain if "tta" in name]
    assert {name: both[name] for name in plain} == plain
    assert {name for name in both if name.startswith(f"{prefix}_tta/")} == {
        f"{prefix}_tta/{name}" for name in ("accuracy", "classes", "f1", "loss", "precision", "recall", "top5_accuracy")
    }


@pytest.mark.parametrize("option", ["--tta.scales=[0]", "--tta.scales=[1.2]", "--tta.shift=2"])
def test_impossible_views_are_refused(mistake: Callable[..., str], option: str) -> None:
    assert "tta." in mistake("fit", option)
