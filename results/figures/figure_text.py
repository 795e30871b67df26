"""Puts any text into figures as it is written: names of classes hold dollars, line breaks, Chinese, 200 characters."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import matplotlib as mpl

from results.figures.fonts import fonts_for
from results.text_table import display_width, printable

_JOINERS = "\u200c\u200d"  # which scripts and emoji need, though they can't be printed alone
_COLOURS = str.maketrans("", "", "\ufe0e\ufe0f")  # ask for an emoji with colours or without, which no outline has


def drawn_names(names: Sequence[str], length: int) -> tuple[list[str], dict[str, Any]]:
    r"""Prepare names for a figure.

    What can't be printed stands as an escape (``\n``), what no font of the system draws as its name or code
    (``[automobile]``, ``[U+6C7D 8ECA]``). Names are composed (NFC), and long ones shortened in the middle; those that
    become the same thereby are numbered.

    Args:
        names: The names.
        length: Columns of a terminal that a name may take, of which wide characters take two.

    Returns:
        What to draw for each name, and the arguments of matplotlib's texts that draw it as it stands: nothing in it is
        mathematics or TeX, and fonts of the system help where the usual one lacks a character.
    """
    distinct = list(dict.fromkeys(names))
    shown = [_escaped(name) for name in distinct]
    fonts = fonts_for(shown)
    short = [shortened(_with_codes(text, fonts.lacking), length) for text in shown]
    times, numbers = Counter(short), Counter[str]()
    drawn = {}
    for name, text in zip(distinct, short, strict=True):
        numbers[text] += 1
        drawn[name] = text if times[text] == 1 else f"{text} ({numbers[text]})"
    return [drawn[name] for name in names], style_of(fonts.families)


def style_of(families: Iterable[str] = ()) -> dict[str, Any]:
    """List the arguments of a text that is drawn as it stands.

    Args:
        families: Fonts to ask besides the usual ones.

    Returns:
        Arguments of ``matplotlib.text.Text``.
    """
    style: dict[str, Any] = {"parse_math": False, "usetex": False}
    extra = list(families)
    return {**style, "fontfamily": [*mpl.rcParams["font.family"], *extra]} if extra else style


def shortened(text: str, length: int) -> str:
    """Shorten a text in the middle, since names differ most at their ends.

    Args:
        text: A line.
        length: Columns that it may take.

    Returns:
        The text, if necessary with an ellipsis.
    """
    if display_width(text) <= length:
        return text
    head, tail = _begin(text, (length - 1) * 3 // 5), _begin(text[::-1], (length - 1) * 2 // 5)[::-1]
    while tail and unicodedata.combining(tail[0]):  # a mark whose letter has been left out
        tail = tail[1:]
    return f"{head}…{tail}"


def is_right_to_left(text: str) -> bool:
    """Check whether a line that this text begins runs from right to left.

    Args:
        text: A line.

    Returns:
        Whether its first letter is of such a script (Unicode Annex 9, rules P2 and P3).
    """
    directions = map(unicodedata.bidirectional, text)
    return next((direction for direction in directions if direction in ("L", "R", "AL")), "L") != "L"


def _begin(text: str, length: int) -> str:
    """Take the first columns of a text."""
    columns = 0
    for place, character in enumerate(text):
        columns += display_width(character)
        if columns > length:
            return text[:place]
    return text


def _escaped(name: str) -> str:
    if name.isascii() and name.isprintable():  # at once, since there may be very many
        return name
    composed = unicodedata.normalize("NFC", name).translate(_COLOURS)
    return "".join(
        character if character in _JOINERS or unicodedata.category(character) == "Zs" else printable(character)
        for character in composed
    )


def _with_codes(text: str, lacking: frozenset[str]) -> str:
    """Name symbols and give the codes of other characters that can't be drawn."""
    if lacking.isdisjoint(text):
        return text
    parts = []
    for lacks, run in groupby(text, key=lacking.__contains__):
        characters = list(run)
        if lacks:
            symbols = [_symbol(character) for character in characters]
            codes = " ".join(f"{ord(character):04X}" for character in characters)
            parts.append(f"[{' '.join(map(str, symbols))}]" if all(symbols) else f"[U+{codes}]")
        else:
            parts.append("".join(characters))
    return "".join(parts)


def _symbol(character: str) -> str | None:
    name = unicodedata.name(character, "") if unicodedata.category(character) in ("So", "Sk") else ""
    return name.lower() or None
