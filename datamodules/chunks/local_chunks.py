"""Chunks on this machine's disk."""

from bisect import bisect_right
from collections import OrderedDict
from typing import Any

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

_READERS = 32  # chunks that a process reads from at a time, more than a window of the sampler has


class LocalChunks:
    """Takes samples out of chunks that litdata has written.

    Each chunk is read by a reader of its own. One of litdata's for all of them maps and parses a chunk anew for almost
    each sample, where the samples of a window of chunks are shuffled.

    Args:
        folder: The folder with ``index.json``.

    Raises:
        MisconfigurationException: If there is none, or it is damaged.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._readers: OrderedDict[int, Any] = OrderedDict()
        # not len(): on several devices litdata counts a share only, but our samplers deal the samples out
        extents = self._new_reader().region_of_interest
        self.ends: list[int] = np.cumsum([end - start for start, end in extents]).tolist()

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def block(self) -> int:
        """Number of samples in a chunk."""
        return max(1, len(self) // max(1, len(self.ends)))

    def __getitem__(self, position: int) -> dict[str, Any]:
        """Read a sample.

        Args:
            position: Its place in all chunks.

        Returns:
            What was written for it.
        """
        number = bisect_right(self.ends, position)
        reader = self._readers.pop(number, None)
        if reader is None:  # the one that was used least recently, which lets its chunk go
            reader = self._readers.popitem(last=False)[1] if len(self._readers) >= _READERS else self._new_reader()
        self._readers[number] = reader
        sample: dict[str, Any] = reader[position]
        return sample

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": OrderedDict()}

    def _new_reader(self) -> Any:
        from litdata import StreamingDataset  # an extra, which only streaming needs

        try:
            return StreamingDataset(self.folder, shuffle=False, drop_last=False)
        except Exception as error:  # whatever a folder or a damaged index lead to
            raise MisconfigurationException(f"Can't read the chunks in {self.folder}: {error}") from error
