"""Temporary names of files and folders that aren't complete yet."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Create a file or a folder under a temporary name, and rename it when it is complete.

    Args:
        path: The final name. If another process was faster, its result stays.

    Yields:
        What to make; its folder is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=".draft-")) / path.name
    try:
        yield draft
        try:
            os.replace(draft, path)  # noqa: PTH105 - a file or a folder
        except OSError:
            if not path.exists():
                raise
    finally:
        shutil.rmtree(draft.parent, ignore_errors=True)
