"""A loader that doesn't run ahead of a resumption, and knows how long it was waited for."""

import time
from collections.abc import Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader


class DeferredLoader(DataLoader[Any]):
    """Draws the first batches when they are asked for, not when the iterator is made.

    Lightning makes the first iterator of a run before it knows, from the checkpoint, which epoch the run resumes with,
    and workers would at once load images of epoch 0 (pytorch-lightning #21938).

    Attributes:
        waited: Seconds in which somebody has waited for batches, in all.
    """

    waited = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Tell Lightning that an epoch can be resumed in its middle: the sampler asks how far it is.

        Returns:
            Nothing else.
        """
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore nothing.

        Args:
            state_dict: What ``state_dict`` returned.
        """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        began = time.perf_counter()
        for batch in super().__iter__():
            self.waited += time.perf_counter() - began
            yield batch
            began = time.perf_counter()


def single_threaded(worker_id: int) -> None:
    """Keep OpenCV from starting a thread per core in every worker.

    Args:
        worker_id: The worker's number.
    """
    del worker_id
    cv2.setNumThreads(0)
