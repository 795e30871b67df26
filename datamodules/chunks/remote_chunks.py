"""Chunks in object storage, of which those in use are kept on this machine."""

import hashlib
import json
import os
import re
import shutil
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.cache.user_cache import user_cache
from datamodules.remote.draft import drafted
from datamodules.remote.read_ahead import ReadAhead
from datamodules.remote.storage import Storage

_INDEX = "index.json"
_OPEN = 32  # chunks that a process reads from at a time
_SHARE = 0.5  # of what is free on the disk
_FOLLOWING = 2  # chunks that are fetched ahead when they are read in order
_BOTH_WINDOWS = 20  # chunks that are in use or read ahead at a time, with some to spare
_FOLDER = re.compile("[0-9a-f]{20}")
_AFRESH = 3600.0  # seconds after which a draft that nobody has finished is removed


class RemoteChunks:
    """Takes samples out of chunks that litdata has written and that lie in object storage.

    A chunk is fetched as a whole when its first sample is asked for, by one process at a time, and then serves all
    processes of the machine and later runs. The chunks that were not used for longest make place for others. litdata's
    own reader asks the storage twice for each sample where samples are drawn in an order that the program chooses.

    Args:
        url: The folder with ``index.json``.
        folder: Where chunks are kept; None takes the user's cache (``XDG_CACHE_HOME``, else ``~/.cache``).
        limit: Bytes of chunks to keep; None takes half of what is free.

    Raises:
        MisconfigurationException: If the index can't be read, or one chunk alone is larger than the limit.
    """

    def __init__(self, url: str, folder: Path | None = None, limit: int | None = None) -> None:
        self.storage = Storage(url)
        content = self.storage.read(_INDEX)
        try:
            self.index: dict[str, Any] = json.loads(content)
            sizes = [int(chunk["chunk_size"]) for chunk in self.index["chunks"]]
            largest = max(int(chunk["chunk_bytes"]) for chunk in self.index["chunks"])
        except (ValueError, KeyError, TypeError) as error:
            raise MisconfigurationException(f"{url}/{_INDEX} is damaged: convert the data again.") from error
        self.base = folder or user_cache("chunks")
        # what is converted again has another index, and so another folder
        self.folder = self.base / hashlib.sha256(url.encode() + content).hexdigest()[:20]  # as _FOLDER says
        self.base.mkdir(parents=True, exist_ok=True)
        self.limit = int(_SHARE * shutil.disk_usage(self.base).free) if limit is None else limit
        if largest > self.limit:
            raise MisconfigurationException(
                f"A chunk of {url} has {largest / 1e6:.0f} MB, but only {self.limit / 1e6:.0f} MB may be kept in "
                f"{self.base}: raise data.cache_gb, or choose another data.cache_dir."
            )
        self.ends = np.cumsum(sizes).tolist()
        self._may_read_ahead = _BOTH_WINDOWS * largest <= self.limit  # else they would push out what is in use
        self._read_ahead: ReadAhead | None = None
        self._opened = -1
        self._streams: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def block(self) -> int:
        """Number of samples in a chunk."""
        return max(1, len(self) // len(self.ends))

    def __getitem__(self, position: int) -> dict[str, Any]:
        """Read a sample.

        Args:
            position: Its place in all chunks.

        Returns:
            What was written for it.

        Raises:
            MisconfigurationException: If its chunk can't be fetched.
        """
        number = self.chunk_of(position)
        within = position - (self.ends[number - 1] if number else 0)
        for _ in range(3):
            try:
                sample: dict[str, Any] = self._stream(number)[within]
                return sample
            except OSError:  # another process has just made place for a chunk of its own
                self._streams.pop(number, None)
        raise MisconfigurationException(
            f"Chunks in {self.base} are removed as soon as they are there: raise data.cache_gb."
        )

    def chunk_of(self, position: int) -> int:
        """Find the chunk of a sample.

        Args:
            position: The sample's place in all chunks.

        Returns:
            The chunk's number.
        """
        return bisect_right(self.ends, position)

    def read_ahead(self, numbers: Iterable[int]) -> None:
        """Fetch in the background chunks that will soon be needed, where there is space for them.

        Args:
            numbers: Their numbers, the first one needed first.
        """
        if not self._may_read_ahead:
            return
        if self._read_ahead is None or self._read_ahead.process != os.getpid():
            self._read_ahead = ReadAhead(lambda number: self._fetch(number, self.folder / str(number)))
        self._read_ahead.announce(numbers)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_streams": OrderedDict(), "_read_ahead": None}

    def _stream(self, number: int) -> Any:
        """Open a chunk, which litdata reads as a data set of its own."""
        from litdata import StreamingDataset

        folder = self.folder / str(number)
        if number not in self._streams:
            if number == self._opened + 1:  # in order, as evaluations read
                self.read_ahead(range(number + 1, min(number + 1 + _FOLLOWING, len(self.ends))))
            self._opened = number
            self._fetch(number, folder)
            self._streams[number] = StreamingDataset(str(folder), shuffle=False)
            while len(self._streams) > _OPEN:
                self._streams.popitem(last=False)
            with suppress(OSError):
                os.utime(folder)  # used now
        self._streams.move_to_end(number)
        return self._streams[number]

    def _fetch(self, number: int, folder: Path) -> None:
        if folder.exists():
            return
        chunk = self.index["chunks"][number]
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{number}.lock"):
            if folder.exists():
                return
            self._make_place(int(chunk["chunk_bytes"]))
            with drafted(folder) as draft:
                draft.mkdir()
                self.storage.fetch(chunk["filename"], draft / chunk["filename"])
                found = (draft / chunk["filename"]).stat().st_size
                if found != int(chunk["chunk_bytes"]):
                    raise MisconfigurationException(
                        f"{self.storage.url}/{chunk['filename']} has {found} bytes, but {_INDEX} says "
                        f"{chunk['chunk_bytes']}: it has changed since it was converted. Start again, or "
                        "convert it again."
                    )
                (draft / _INDEX).write_text(json.dumps({**self.index, "chunks": [chunk]}), encoding="utf-8")

    def _make_place(self, needed: int) -> None:
        """Remove the chunks that were not used for longest, of whatever data set, and nothing else that lies there."""
        kept = []
        for chunk in (place for place in self.base.glob("*/*") if _FOLDER.fullmatch(place.parent.name)):
            with suppress(OSError):  # another process removes it
                if chunk.name.startswith(".draft-"):
                    if time.time() - chunk.stat().st_mtime > _AFRESH:
                        shutil.rmtree(chunk, ignore_errors=True)
                elif chunk.name.isdigit() and (chunk / _INDEX).is_file():
                    kept.append((chunk.stat().st_mtime, sum(file.stat().st_size for file in chunk.iterdir()), chunk))
        used = sum(size for _, size, _ in kept)
        for _, size, chunk in sorted(kept):
            if used + needed <= self.limit:
                break
            with suppress(OSError):
                chunk.rename(gone := chunk.with_name(f".draft-{chunk.name}-{os.getpid()}"))
                shutil.rmtree(gone, ignore_errors=True)
                used -= size
