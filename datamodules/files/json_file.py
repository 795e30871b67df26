"""Notes beside data: JSON objects in files that are whole at any moment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.remote.draft import drafted


def read_object(file: Path) -> dict[str, Any] | None:
    """Read a JSON object.

    Args:
        file: The file.

    Returns:
        The object; None if there is no file, or something else in it.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_object(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object.

    Args:
        file: The file, whose folder is made if necessary.
        content: The object.
    """
    with drafted(file) as draft:
        draft.write_text(json.dumps(content), encoding="utf-8")
