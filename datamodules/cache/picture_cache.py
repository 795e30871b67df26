"""Keeps pictures as pixels, for the epochs after the first."""

import hashlib
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datamodules.cache.user_cache import file_key
from datamodules.reading.image_reader import Box, Image

_VERSION = 1  # of the file format and of how pictures are shrunk
_MAGIC = b"CSPX"
_HEADER = struct.Struct("<4s16sIII8x")  # magic, key, height, width, checksum; 40 bytes
_EVERY = 61  # byte that counts in the checksum: a lost block is found without reading all


class PictureCache:
    """Files of pixels in a folder that processes share.

    A file appears when it is complete, by renaming, so that processes may be killed at any moment and fill the cache
    at once. One that isn't right is made again. Where the folder is full, pictures are made each time.

    Args:
        folder: The folder; made if necessary.
        budget: Bytes that each process may add.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget

    def get(self, key: bytes, make: Callable[[], Image]) -> Image:
        """Find a picture, or make it and keep it.

        Args:
            key: Its key, 16 bytes.
            make: Makes it.

        Returns:
            The picture, uint8 of shape (height, width, 3), which may be changed in place.
        """
        name = key.hex()
        path = os.path.join(self.folder, name[:2], name)  # noqa: PTH118 - for each picture of each epoch
        found = _read(path, key)
        if found is None:
            found = make()
            if found.nbytes + _HEADER.size <= self.budget:
                self._write(path, key, found)
        return found

    def _write(self, path: str, key: bytes, image: Image) -> None:
        folder, pixels = os.path.dirname(path), np.ascontiguousarray(image).reshape(-1)  # noqa: PTH120
        try:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            handle, draft = tempfile.mkstemp(dir=folder, prefix=".")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_HEADER.pack(_MAGIC, key, *image.shape[:2], _checksum(pixels)))
                    file.write(pixels.data)
                os.replace(draft, path)  # noqa: PTH105
                self.budget -= image.nbytes + _HEADER.size
            except BaseException:
                os.unlink(draft)  # noqa: PTH108
                raise
        except OSError:  # the disk is full, or the folder gone: every picture can be made again
            self.budget = 0


def key_of(path: str, box: Box | None, wanted: str) -> bytes:
    """Compute the key of a picture from everything that determines its pixels.

    Args:
        path: Its file, of which size and time of modification count too.
        box: Part of it.
        wanted: What is made of it.

    Returns:
        16 bytes.
    """
    use = repr((_VERSION, box, wanted)).encode()
    return hashlib.blake2b(file_key(path) + use, digest_size=16).digest()


def _read(path: str, key: bytes) -> Image | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError):  # there is none, or it is empty
        return None
    if len(content) < _HEADER.size:
        return None
    magic, named, height, width, checksum = _HEADER.unpack_from(content)
    if magic != _MAGIC or named != key or len(content) != _HEADER.size + 3 * height * width:
        return None
    pixels: npt.NDArray[np.uint8] = np.frombuffer(content, np.uint8, offset=_HEADER.size)
    return pixels.reshape(height, width, 3) if _checksum(pixels) == checksum else None


def _checksum(pixels: npt.NDArray[np.uint8]) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels[::_EVERY]).data)
