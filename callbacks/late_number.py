"""Numbers that a device computes and that are read later, without waiting for the device."""

import torch
from torch import Tensor


class LateNumber:
    """Copies a number from a GPU while the GPU continues to compute.

    Reading a number at once makes the process wait until the GPU has finished all queued work, and then the GPU wait
    for new work.

    Args:
        value: A scalar.
    """

    def __init__(self, value: Tensor) -> None:
        self._value = value
        self._copied: torch.cuda.Event | None = None
        if value.is_cuda:
            self._value = torch.empty_like(value, device="cpu", pin_memory=True)
            self._value.copy_(value, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def read(self) -> float:
        """Wait until the number has arrived, but not for work that was begun after it.

        Returns:
            The number.
        """
        if self._copied is not None:
            self._copied.synchronize()
        return float(self._value)
