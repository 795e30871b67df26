"""The file that a written path means, on this system."""

import os
import unicodedata


def found_file(prefix: str, name: str) -> str:
    """Find the file that a cell of a table means.

    Args:
        prefix: What a relative name begins with, when it is a path.
        name: The cell, perhaps written as another system or a spreadsheet does.

    Returns:
        The path. One without anything unusual in it isn't looked for.
    """
    path = name if name[0] == "/" else prefix + name
    if name.isascii() and "\\" not in name and "//" not in name and "./" not in name and name == name.strip():
        return path
    return existing_path(path)


def existing_path(path: str) -> str:
    """Find a file under the spellings that programs and systems turn its path into.

    Args:
        path: The path as it is written.

    Returns:
        The first spelling that exists: as it is, without blanks at its ends, with the separators of Windows, composed
        or decomposed accents; else the path with what is certain put right.
    """
    stripped = path.strip()
    if "\0" in path:
        return path
    for spelling in dict.fromkeys((path, stripped, path.replace("\\", "/"), stripped.replace("\\", "/"))):
        for form in dict.fromkeys((spelling, *(unicodedata.normalize(form, spelling) for form in ("NFC", "NFD")))):
            if os.path.lexists(form):
                normal = os.path.normpath(form)
                return normal if os.path.lexists(normal) else form
    return os.path.normpath(stripped.replace("\\", "/")) if stripped else path
