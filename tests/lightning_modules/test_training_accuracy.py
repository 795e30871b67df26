"""The accuracy of training doesn't depend on where an epoch was interrupted."""

import pytest
import torch

from lightning_modules.training.training_accuracy import TrainingAccuracy

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", range(5))
def test_an_interrupted_epoch_has_the_mean_of_the_whole_one(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    batches = [(torch.rand((), generator=draw), 7 + number % 3) for number in range(60)]
    whole, first, second = TrainingAccuracy(), TrainingAccuracy(), TrainingAccuracy()
    for accuracy, images in batches:
        whole.update(accuracy, images)
    for accuracy, images in batches[:23]:
        first.update(accuracy, images)
    second.restore(first.state(CPU))
    for accuracy, images in batches[23:]:
        second.update(accuracy, images)
    expected = sum(float(accuracy) * images for accuracy, images in batches) / sum(images for _, images in batches)
    mean = float(whole.finish_epoch(CPU))
    assert mean == float(second.finish_epoch(CPU))
    assert mean == pytest.approx(expected, abs=1e-5)
    assert torch.isnan(whole.finish_epoch(CPU))


def test_plain_hits_are_counted_exactly() -> None:
    accuracy = TrainingAccuracy()
    for hits in (3, 0, 28):
        accuracy.update(torch.tensor(hits / 28), 28)
    assert accuracy.state(CPU) == [31, 84]
