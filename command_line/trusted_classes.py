"""Keeps a config of unknown origin from running unknown code."""

import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

# This project's packages, and the libraries whose classes its configs name.
OWN = frozenset({"callbacks", "command_line", "datamodules", "lightning_modules", "results", "runs"})
TRUSTED = OWN | {"albumentations", "lightning", "timm", "torch", "torchmetrics", "torchvision"}
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
_LARGEST = 1_000_000


def untrusted_names(arguments: Iterable[str]) -> Iterator[str]:
    """Find what a command line and its configs would import from elsewhere, without importing it.

    Args:
        arguments: The command line.

    Yields:
        Dotted names that begin with a module which exists and isn't trusted.
    """
    seen: set[Path] = set()
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("-") else argument
        for text in _strings(value, seen):
            module = text.partition(".")[0]
            if _DOTTED.fullmatch(text) and module not in TRUSTED and importlib.util.find_spec(module) is not None:
                yield text


def _strings(value: Any, seen: set[Path]) -> Iterator[str]:
    """Iterate over all strings in a value, in YAML that it may be, and in files that it may name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key, seen)
            yield from _strings(item, seen)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, seen)
    elif isinstance(value, str):
        yield value
        content = _read(value, seen)
        if content is not None:
            yield from _strings(content, seen)


def _read(text: str, seen: set[Path]) -> Any:
    """Return what a string or the file that it names holds, if that is more than the string."""
    path = _file(text)
    try:
        if path is not None:
            if path in seen or path.stat().st_size > _LARGEST:
                return None
            seen.add(path)
            text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict | list) else None


def _file(text: str) -> Path | None:
    """Return the file that a string names; a config that is given as text may be too long for a name."""
    try:
        path = Path(text).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None
