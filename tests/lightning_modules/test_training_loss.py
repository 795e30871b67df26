from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight
from torch import nn

from lightning_modules.training.training_loss import TrainingLoss, expected_accuracy

CPU = torch.device("cpu")


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.rand(6, 3, 32, 32), torch.tensor([0, 1, 2, 3, 1, 0]), torch.randn(6, 4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["mixup_alpha", "cutmix_alpha"])
def test_mixed_labels_weigh_the_loss_of_both_images(
    batch: tuple[torch.Tensor, ...], kind: str, smoothing: float
) -> None:
    images, labels, logits = batch
    loss = TrainingLoss(4, label_smoothing=smoothing, **{kind: 1.0})
    mixed, targets = loss.mix(images, labels)
    assert mixed.shape == images.shape
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(6))
    # the share of each image's own label, from an image whose partner has another label
    share = float(targets[0, labels[0]]) if labels[0] != labels[-1] else float(targets[1, labels[1]])
    assert 0 < share < 1
    partner = labels.roll(1)

    def reference(classes: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, classes, label_smoothing=smoothing)

    expected = share * reference(labels) + (1 - share) * reference(partner)
    torch.testing.assert_close(loss(logits, targets), expected)
    predicted = logits.argmax(dim=1)
    hits = share * (predicted == labels).float() + (1 - share) * (predicted == partner).float()
    torch.testing.assert_close(expected_accuracy(logits, targets), hits.mean())
    if kind == "mixup_alpha":
        torch.testing.assert_close(mixed, share * images + (1 - share) * images.roll(1, 0))
    else:
        own = (mixed == images).all(dim=1).float().mean(dim=(1, 2))
        torch.testing.assert_close(own, torch.full((6,), share))


def test_without_mixing_the_loss_is_plain_cross_entropy(batch: tuple[torch.Tensor, ...]) -> None:
    images, labels, logits = batch
    loss = TrainingLoss(4, label_smoothing=0.1)
    assert loss.mix(images, labels) == (images, labels)
    torch.testing.assert_close(loss(logits, labels), nn.functional.cross_entropy(logits, labels, label_smoothing=0.1))
    assert float(expected_accuracy(logits, labels)) == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_logits_of_other_types_are_weighed_and_mixed_as_well(
    batch: tuple[torch.Tensor, ...], dtype: torch.dtype
) -> None:
    images, labels, logits = batch
    logits = logits.to(dtype)
    loss = TrainingLoss(4, mixup_alpha=0.2)
    loss.balance(labels.numpy(), 4, CPU)
    _, mixed = loss.mix(images, labels)
    for targets in (labels, mixed):
        found, exact = loss(logits, targets), dtype != torch.float64
        expected = loss(logits.float(), targets).to(found.dtype)
        torch.testing.assert_close(found, expected, rtol=0 if exact else 1e-6, atol=0)
    loss.class_weights = None
    loss.learn_from(lambda _: torch.full((6, 4), 0.25), 0.5)
    assert loss(logits, labels, images).dtype == (dtype if dtype == torch.float64 else torch.float32)


def test_both_kinds_of_mixing_take_turns(batch: tuple[torch.Tensor, ...]) -> None:
    images, labels, _ = batch
    loss = TrainingLoss(4, mixup_alpha=1.0, cutmix_alpha=1.0)
    pasted = [bool((loss.mix(images, labels)[0] == images).any()) for _ in range(20)]
    assert set(pasted) == {True, False}


def test_balanced_weights_are_scikit_learns(batch: tuple[torch.Tensor, ...]) -> None:
    labels = np.array([0] * 50 + [1] * 5 + [2] * 20)
    loss = TrainingLoss(4)
    loss.balance(labels, 4, CPU)
    weights = loss.class_weights
    assert weights is not None
    np.testing.assert_allclose(weights.numpy()[labels], compute_sample_weight("balanced", labels), rtol=1e-6)
    assert float(weights[3]) == 1
    logits = torch.randn(75, 4)
    each = nn.functional.cross_entropy(logits, torch.from_numpy(labels), reduction="none")
    expected = (each * weights[torch.from_numpy(labels)]).mean()
    torch.testing.assert_close(loss(logits, torch.from_numpy(labels)), expected)
    hard = nn.functional.one_hot(torch.from_numpy(labels), 4).float()
    torch.testing.assert_close(loss(logits, hard), expected)  # mixed or not: the same scale


def test_all_of_it_trains_and_the_checkpoint_tests_without_it(
    run: Callable[..., None], scores_of: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    parts = ["--model.mixup_alpha=0.2", "--model.cutmix_alpha=1", "--model.balanced_loss=true", "--model.dropout=0.1"]
    run("fit", *parts, "--data.random_erasing=0.5", "--data.balanced_sampling=true", "--trainer.gradient_clip_val=1")
    assert 0 <= scores_of("fit_scores.json")["train/accuracy"] <= 1
    run("test", "--ckpt_path=last")
    assert "test_tta/f1" in scores_of("test_scores.json")
