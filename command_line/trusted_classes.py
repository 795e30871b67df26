"""Keeps a config of unknown origin from running unknown code."""

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import get_loader
from lightning.fabric.utilities.exceptions import MisconfigurationException

# This project's packages, and the libraries whose classes its configs name.
OWN = frozenset({"callbacks", "command_line", "datamodules", "lightning_modules", "results", "runs"})
TRUSTED = OWN | {"albumentations", "lightning", "timm", "torch", "torchmetrics", "torchvision"}
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
_FILE_SCHEME = re.compile(r"^file:///?")  # which the parser takes for a path
_BEGINNING = 8192  # bytes, in which archives, pictures and other binary files have a NUL, which YAML can't hold
_load = get_loader("yaml")  # the parser's own: another one may fail where it doesn't, at 2020-13-45 for instance


def untrusted_names(arguments: Iterable[str]) -> Iterator[str]:
    """Find what a command line and its configs would import from elsewhere, without importing it.

    Args:
        arguments: The command line.

    Yields:
        Dotted names that begin with a module which exists and isn't trusted.

    Raises:
        MisconfigurationException: If a file that is named can't be looked into.
    """
    seen: set[Path] = set()
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("-") else argument
        for text in _strings(value, (Path.cwd(),), seen):
            module = text.partition(".")[0]
            if _DOTTED.fullmatch(text) and module not in TRUSTED and _exists(module):
                yield text


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # one that was made by hand, such as __main__
        return True


def _strings(value: Any, folders: Sequence[Path], seen: set[Path]) -> Iterator[str]:
    """Iterate over all strings in a value, in YAML that it may be, and in files that it may name.

    Args:
        value: The value.
        folders: Those that names of files in it may be relative to: the parser goes into the folder of each config.
        seen: The files that were read already.

    Yields:
        The strings.
    """
    left: list[Any] = [value]
    walked: set[int] = set()  # aliases bring values back, a thousand times or in circles
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
            for file in filter(None, (_file(value, folder) for folder in folders)):
                if file not in seen:
                    seen.add(file)
                    yield from _strings(_parsed(_read(file)), (Path.cwd(), file.parent), seen)
            yield from _strings(_parsed(value), folders, seen)
        elif isinstance(value, dict | list) and id(value) not in walked:
            walked.add(id(value))
            left += [*value, *value.values()] if isinstance(value, dict) else value


def _parsed(text: str) -> Any:
    """Return what YAML holds, if that is more than a text."""
    try:
        content = _load(text)
    except Exception:  # whatever it is, the parser will meet it too, and import nothing
        return None
    return content if isinstance(content, dict | list) else None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            beginning = handle.read(_BEGINNING)
            content = b"" if b"\0" in beginning else beginning + handle.read()
    except OSError as error:
        raise MisconfigurationException(
            f"Can't look for names of classes in {file}: {error.strerror}. Make it readable, or leave it out."
        ) from error
    try:
        return content.decode()
    except UnicodeDecodeError:  # the parser takes the locale's encoding; names of classes are the same in all of them
        return content.decode("latin-1")


def _file(text: str, folder: Path) -> Path | None:
    """Return the file that a string names; a config that is given as text may be too long for a name."""
    try:
        name = os.path.expanduser(text)  # noqa: PTH111 - Path's own refuses ~nobody
        path = (folder / _FILE_SCHEME.sub("/", name)).absolute()
        if path.is_fifo():
            raise MisconfigurationException(
                f"Can't look for names of classes in {path}, which can be read only once: give a file in its place."
            )
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None
