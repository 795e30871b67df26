"""Counting images that can't be read, in all loading processes together."""

import math
import warnings

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException


class SkippedImages:
    """Notes which images of a split couldn't be read, and stops the run when there are too many.

    The notes lie in shared memory: what one loading process finds, the others and the main process see.

    Args:
        split: Name of the split, for messages.
        size: Number of its images.
        max_share: Largest share of them that may be skipped; at least one image may.
    """

    def __init__(self, split: str, size: int, max_share: float) -> None:
        self.split = split
        self.limit = max(1, math.floor(max_share * size))
        self.flags = torch.zeros(size, dtype=torch.bool).share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return int(self.flags.sum())

    def note(self, index: int, error: Exception) -> None:
        """Note an image, with a warning when it is met for the first time.

        Args:
            index: Its position in the split.
            error: Why it couldn't be read; the message names the file.

        Raises:
            MisconfigurationException: If these are too many.
        """
        if self.flags[index]:
            return
        self.flags[index] = True
        if len(self) > self.limit:
            raise MisconfigurationException(
                f"More than {self.limit} of {len(self.flags)} {self.split} images can't be read, the last: {error} "
                "Run train.py check to see all, or raise data.max_skipped."
            )
        warnings.warn(f"Skipped: {error}", stacklevel=2)

    def require_others(self, error: Exception) -> None:
        """Refuse to go on where no image is left to take the place of others.

        Args:
            error: Why the last one couldn't be read.

        Raises:
            MisconfigurationException: If none of them can be read.
        """
        if self.flags.all():
            raise MisconfigurationException(
                f"None of the {len(self.flags)} {self.split} images can be read, the last: {error} Check "
                "data.root, or run train.py check to see all."
            )
