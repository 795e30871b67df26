"""The accuracy of training over an epoch, which an interruption in mid-epoch leaves right."""

from collections.abc import Sequence

import torch
from torch import Tensor

_PARTS = 2**16  # of a hit, which may be divided between labels that are mixed


class TrainingAccuracy:
    """Averages the accuracies of batches, and continues from a checkpoint.

    Lightning's own means over an epoch aren't saved in checkpoints, and it writes them after the checkpoint of the
    epoch: a run resumed in mid-epoch would show the mean of the rest, one killed after the checkpoint would show none.
    Sums stay on the device, which nobody waits for before the epoch ends. They are whole numbers of small parts, since
    floats would depend on which of them were added first, in this process or before an interruption.
    """

    def __init__(self) -> None:
        self._hits: Tensor | None = None  # int64, a scalar: each batch's accuracy times its images, in parts
        self._images = 0
        self._restored = (0, 0)

    def update(self, accuracy: Tensor, images: int) -> None:
        """Count a batch.

        Args:
            accuracy: Its accuracy, a scalar.
            images: Number of its images.
        """
        hits = (accuracy.float() * (images * _PARTS)).round().long()
        self._hits = hits if self._hits is None else self._hits + hits
        self._images += images

    def finish_epoch(self, device: torch.device) -> Tensor:
        """Average the epoch over all devices, and begin the next one.

        Args:
            device: This device.

        Returns:
            The accuracy, float32, a scalar on the CPU; NaN of no batches.
        """
        hits, images = self.state(device)
        self._hits, self._images, self._restored = None, 0, (0, 0)
        return torch.tensor(hits) / images

    def state(self, device: torch.device) -> list[float]:
        """Sum over all devices, which all have to call this.

        Args:
            device: This device.

        Returns:
            For a checkpoint: the sum of the accuracies of all images, and the number of images.
        """
        hits = torch.zeros((), dtype=torch.int64, device=device) if self._hits is None else self._hits
        own = torch.stack([hits, hits.new_tensor(self._images)]) + hits.new_tensor(self._restored)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(own)
        parts, images = own.tolist()
        return [parts / _PARTS, float(images)]

    def begin(self, stage: str | None) -> None:
        """Forget an epoch that an earlier training has left unfinished, before a checkpoint is restored.

        Args:
            stage: ``fit``; in others nothing is counted.
        """
        if stage == "fit":
            self._hits, self._images, self._restored = None, 0, (0, 0)

    def restore(self, state: Sequence[float], rank: int = 0) -> None:
        """Continue counting; on one device alone, since the sums are those of all.

        Args:
            state: What ``state`` returned.
            rank: The device's number.
        """
        self._restored = (round(state[0] * _PARTS), round(state[1])) if rank == 0 else (0, 0)
