"""Finds the file that a path from another system or program means."""

import os
import unicodedata
from collections.abc import Callable


def found_file(folder: str, name: str) -> str:
    """Find the file that a cell of a table means.

    Args:
        folder: What a relative name is relative to; empty for the working directory.
        name: The cell, perhaps written as another system or a spreadsheet does.

    Returns:
        The path. One without anything unusual in it isn't looked for.
    """
    if name.isascii() and "\\" not in name and "//" not in name and "./" not in name and name == name.strip():
        return name if name[:1] == "/" or not folder else f"{folder}/{name}"
    return existing_path(folder, name)


def existing_path(folder: str, name: str) -> str:
    """Find a file under the spellings that programs and systems turn its path into.

    Args:
        folder: What a relative name is relative to; empty for the working directory.
        name: The path as it is written.

    Returns:
        The first spelling that exists: as it is, without blanks at its ends, with the separators of Windows, composed
        or decomposed accents; else the path with what is certain put right.
    """
    if "\0" in name:
        return os.path.join(folder, name)  # noqa: PTH118 - a Path would drop what a link leads through
    stripped = name.strip()
    for spelling in dict.fromkeys((name, stripped, name.replace("\\", "/"), stripped.replace("\\", "/"))):
        for form in dict.fromkeys((spelling, *(unicodedata.normalize(form, spelling) for form in ("NFC", "NFD")))):
            path = os.path.join(folder, form)  # noqa: PTH118
            if os.path.lexists(path):
                normal = os.path.normpath(path)
                return normal if os.path.lexists(normal) else path
    path = os.path.join(folder, stripped.replace("\\", "/"))  # noqa: PTH118
    return os.path.normpath(path)


def url_refusal(path: str) -> str | None:
    """Say what to do with a URL in the place of a file.

    Args:
        path: What was given.

    Returns:
        Words such as ``is a URL, ...``; None if it is none.
    """
    if not path.lower().startswith(("http://", "https://")):
        return None
    return "is a URL, and files are read only: download it first"


def real_place(path: str, real_folder: Callable[[str], str]) -> str:
    """Find the place of a file, without a look at the file itself: there may be a million.

    Args:
        path: The file, which may itself be a link.
        real_folder: ``os.path.realpath`` of folders, cached.

    Returns:
        Its path in the real folder.
    """
    folder, name = os.path.split(path)
    return f"{real_folder(folder).rstrip('/')}/{name}"
