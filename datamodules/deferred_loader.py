"""A loader that doesn't run ahead of a resumption."""

from collections.abc import Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader


class DeferredLoader(DataLoader[Any]):
    """Draws the first batches when they are asked for, not when the iterator is made.

    Lightning makes the first iterator of a run before it knows, from the checkpoint, which epoch the run resumes with,
    and workers would at once load images of epoch 0 (pytorch-lightning #21938).
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        yield from super().__iter__()


def single_threaded(worker_id: int) -> None:
    """Keep OpenCV from starting a thread per core in every worker.

    Args:
        worker_id: The worker's number.
    """
    del worker_id
    cv2.setNumThreads(0)
