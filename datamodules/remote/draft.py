"""Names under which files and folders are made, before they are whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Let a file or a folder be made under another name, and rename it when it is whole.

    Args:
        path: The name that it shall have. If another process was faster, its work stays.

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
