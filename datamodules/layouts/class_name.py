"""Normalises the spelling of class names."""

import unicodedata
from collections.abc import Iterable


def class_name(text: str) -> str:
    """Normalise a name, whichever system or program wrote it.

    Args:
        text: A name of a folder or the content of a cell.

    Returns:
        The name without blanks at its ends, with accents composed (Unicode's NFC; macOS decomposes names of folders).
    """
    return unicodedata.normalize("NFC", text).strip()


def respelled(texts: Iterable[str]) -> list[str]:
    """Say which names were written in several ways that mean the same.

    Args:
        texts: Names as they were written.

    Returns:
        A sentence for each class that unites several spellings.
    """
    spellings: dict[str, set[str]] = {}
    for text in texts:
        spellings.setdefault(class_name(text), set()).add(text)
    return [
        f"{len(found)} spellings of {name!r} are one class: they differ in blanks or in composed accents only."
        for name, found in sorted(spellings.items())
        if len(found) > 1
    ]
