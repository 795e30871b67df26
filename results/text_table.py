"""Tables as plain text, for a terminal."""

import re
import unicodedata
from collections.abc import Sequence

_NUMBER = re.compile(r"[-+]?[\d.,]+( ?%|e[-+]?\d+)?|nan|-?inf|-|")


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], gap: int = 2) -> list[str]:
    """Format a table in aligned columns.

    A column of numbers is aligned on the right, with ``-`` or nothing for one that is missing. In a row with fewer
    cells than the header has, the last one runs on over the columns that follow, and doesn't widen its own.

    Args:
        header: Titles of the columns.
        rows: Cells; nothing of them is cut, and what a terminal can't show stands as an escape.
        gap: Spaces between columns.

    Returns:
        The header and a line for each row, without spaces at their ends.
    """
    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    columns = range(len(header))
    cells = [[row[column] for row in lines if column < len(row) - (len(row) < len(header))] for column in columns]
    widths = [max(map(display_width, column)) for column in cells]
    numbers = [len(column) > 1 and all(map(_NUMBER.fullmatch, column[1:])) for column in cells]
    return [_line(row, widths, numbers, " " * gap) for row in lines]


def _line(row: list[str], widths: list[int], numbers: list[bool], gap: str) -> str:
    parts = []
    for place, (cell, width, number) in enumerate(zip(row, widths, numbers, strict=False), start=1):
        space = " " * (width - display_width(cell))
        parts.append(cell + space if not number or len(row) == place < len(widths) else space + cell)
    return gap.join(parts).rstrip()


def display_width(text: str) -> int:
    """Count the columns of a terminal that a text takes.

    Args:
        text: The text, of one line.

    Returns:
        The count: two for the wide characters of East Asia and for most emoji, none for marks that combine.
    """
    if text.isascii():  # at once, since a run may have very many names
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def printable(text: str) -> str:
    r"""Replace what would break a line or can't be encoded, as names of files may hold it.

    Args:
        text: Any text.

    Returns:
        The text with ``\n`` for a line break, ``\udcff`` for a byte that isn't UTF-8, and so on.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
