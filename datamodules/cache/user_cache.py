"""The user's cache, which is kept between runs, and the keys of its files."""

import hashlib
import os
from pathlib import Path


def user_cache(subject: str) -> Path:
    """Name a folder of the user's cache: ``XDG_CACHE_HOME``, else ``~/.cache``.

    Args:
        subject: What it holds.

    Returns:
        The folder, which need not exist.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "carspotter" / subject


def file_key(file: str) -> bytes:
    """Identify a file as it is now, by its name, size and time of modification.

    Args:
        file: Its path.

    Returns:
        16 bytes; of a file that can't be looked at, those of its name alone.
    """
    try:
        found = os.stat(file)  # noqa: PTH116 - one of a million
        state = f"{found.st_size} {found.st_mtime_ns}"
    except (OSError, ValueError):
        state = ""
    name = os.path.abspath(file)  # noqa: PTH100 - links stay as they are
    return hashlib.blake2b(f"{name}\0{state}".encode(errors="surrogateescape"), digest_size=16).digest()
