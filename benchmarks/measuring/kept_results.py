"""Keeps what a long benchmark has measured: it goes on where it was interrupted, and never mixes two set-ups."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runs.whole_file import write_atomically

_GIVEN, _FOUND = "given", "found"


def kept_result(file: Path, given: Mapping[str, Any]) -> Any:
    """Look for a result.

    Args:
        file: The JSON file that it is kept in.
        given: What it depends on, as JSON has it.

    Returns:
        What ``keep_result`` was given; None if there is nothing yet.

    Raises:
        SystemExit: If it was measured with something else.
    """
    if not file.exists():
        return None
    kept = json.loads(file.read_text(encoding="utf-8"))
    before = kept.get(_GIVEN, {})
    other = [key for key in {**before, **given} if before.get(key) != given.get(key)]
    if other:
        pairs = "; ".join(f"{key} was {before.get(key)!r} and is {given.get(key)!r}" for key in other)
        raise SystemExit(f"{file} was measured otherwise: {pairs}. Choose another --out, or remove the file.")
    return kept[_FOUND]


def keep_result(file: Path, given: Mapping[str, Any], found: Any) -> None:
    """Keep a result.

    Args:
        file: The JSON file; its folder is made.
        given: What it depends on.
        found: The result, as JSON has it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps({_GIVEN: given, _FOUND: found}, indent=1) + "\n")


def digest_of(files: Iterable[Path], whole: bool = True) -> str:
    """Tell data sets, weights and configs apart.

    Args:
        files: The files, in order.
        whole: Whether to read them; else their names and sizes count, which is enough for photographs.

    Returns:
        Twelve hexadecimal digits.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes() if whole else f"{file.name} {file.stat().st_size}\n".encode())
    return digest.hexdigest()[:12]
