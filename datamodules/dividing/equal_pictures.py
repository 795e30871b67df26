"""Finds photographs that show the same picture, once for each data set."""

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np

from datamodules.cache.user_cache import file_key, user_cache
from datamodules.fingerprints import Fingerprint, fingerprint_of, linked
from datamodules.progress import progress
from datamodules.reading.image_reader import UnreadableImageError, decode_image, read_bytes
from datamodules.remote.draft import drafted

_EDITION = 2  # count up when fingerprints change
_SILENT = 500  # so many take no time worth a bar
_KEPT = 4  # fingerprints of files that aren't there any more, as a multiple of those that are

_Known: TypeAlias = dict[bytes, Fingerprint]


def equal_pictures(files: Sequence[str], folder: Path) -> list[tuple[int, int]]:
    """Find photographs that are equal, or nearly so, whatever their size, format and quality.

    Every photograph is decoded, which takes a few milliseconds; what was seen is kept in the user's cache
    (``XDG_CACHE_HOME``, else ``~/.cache``) until the file changes.

    Args:
        files: Paths.
        folder: The data set that they belong to, which has one file in the cache.

    Returns:
        Pairs of positions. Of three files of the same content, the first is paired with each of the others. What can't
        be read has no equal.
    """
    keys = [file_key(file) for file in files]
    cache = _cache_file(folder)
    known = _load(cache)
    new = {key: file for key, file in zip(keys, files, strict=True) if key not in known}
    if new:
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoding releases the interpreter
            found = threads.map(_look_at, new.values())
            bar = progress(found, len(new) < _SILENT, desc="looking for equal pictures", total=len(new), unit=" images")
            seen = dict(zip(new, bar, strict=True))
        kept = known if len(known) < _KEPT * len(keys) else {}
        known |= {key: found for key, found in seen.items() if found is not None}  # what can't be read may be, later
        _save(cache, {**kept, **{key: known[key] for key in keys if key in known}})
    return linked([known.get(key) for key in keys])


def _look_at(file: str) -> Fingerprint | None:
    try:
        data = read_bytes(file)
        return fingerprint_of(data, decode_image(data, file))
    except UnreadableImageError:
        return None


def _cache_file(folder: Path) -> Path:
    name = hashlib.sha256(f"{_EDITION} {folder.absolute()}".encode(errors="surrogateescape")).hexdigest()[:24]
    return user_cache("fingerprints") / f"{name}.npz"


def _load(cache: Path) -> _Known:
    try:
        with np.load(cache) as content:
            keys, digests = content["keys"].tobytes(), content["digests"].tobytes()
            bits, thumbnails = content["bits"].tolist(), content["thumbnails"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):  # not there yet, or torn
        return {}
    return {
        keys[16 * row : 16 * row + 16]: Fingerprint(digests[16 * row : 16 * row + 16], bits[row], thumbnails[row])
        for row in range(len(bits))
    }


def _save(cache: Path, known: _Known) -> None:
    if not known:
        return
    prints = known.values()
    content = io.BytesIO()
    np.savez(
        content,
        keys=np.frombuffer(b"".join(known), dtype=np.uint8),
        digests=np.frombuffer(b"".join(found.digest for found in prints), dtype=np.uint8),
        bits=np.array([found.bits for found in prints], dtype=np.uint64),
        thumbnails=np.stack([found.thumbnail for found in prints]),
    )
    # machines that share a home have the same process numbers; one that can't be written to costs the time once more
    with suppress(OSError), drafted(cache) as draft:
        draft.write_bytes(content.getvalue())
