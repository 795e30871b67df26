"""The accuracy of training over an epoch, which an interruption in mid-epoch leaves right."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchmetrics import MeanMetric


class TrainingAccuracy(nn.Module):
    """Averages the accuracies of batches, and goes on from a checkpoint.

    Lightning's own means over an epoch aren't saved in checkpoints, and it writes them after the checkpoint of the
    epoch: a run resumed in mid-epoch would show the mean of the rest, one killed after the checkpoint would show none.

    Attributes:
        mean: Mean over the epoch so far, on this device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean = MeanMetric()

    def update(self, accuracy: Tensor, images: int) -> None:
        """Count a batch.

        Args:
            accuracy: Its accuracy, a scalar.
            images: Number of its images.
        """
        self.mean.update(accuracy, images)

    def finish_epoch(self) -> Tensor:
        """Average the epoch over all devices, and begin the next one.

        Returns:
            The accuracy, float32, a scalar.
        """
        accuracy: Tensor = self.mean.compute()
        self.mean.reset()
        return accuracy

    def state(self) -> list[float]:
        """Sum over all devices, which all have to call this.

        Returns:
            For a checkpoint: the sum of the accuracies of all images, and the number of images.
        """
        with self.mean.sync_context():
            return [float(self.mean.mean_value), float(self.mean.weight)]

    def restore(self, state: Sequence[float]) -> None:
        """Go on counting; on one device alone, since the sums are those of all.

        Args:
            state: What ``state`` returned.
        """
        self.mean.update(0.0, 0.0)  # else the metric calls itself empty
        self.mean.mean_value.fill_(state[0])
        self.mean.weight.fill_(state[1])
