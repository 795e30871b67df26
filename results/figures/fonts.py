"""Finds fonts for characters that matplotlib's own lacks."""

import contextlib
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.ft2font import FT2Font

_SAID: set[str] = set()  # once is enough
_AT_MOST = 6  # families; each further one is asked for every character that the ones before lack


class Fonts(NamedTuple):
    """What draws the characters of some texts.

    Attributes:
        families: Families to ask besides the usual ones, in this order.
        lacking: Characters that no font of this system draws.
    """

    families: tuple[str, ...]
    lacking: frozenset[str]


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Find fonts of the system; only where matplotlib's default lacks a character does it look for any.

    Args:
        texts: What is to be drawn.

    Returns:
        The fonts.
    """
    default = get_font(str(findfont(FontProperties())))
    characters = {character for text in texts for character in text if character != "\n"}
    lacking = frozenset(character for character in characters if not default.get_char_index(ord(character)))
    return _search(lacking) if lacking else Fonts((), lacking)


@lru_cache
def _search(characters: frozenset[str]) -> Fonts:
    """Take the family that draws most of the characters, then the one that draws most of the rest, and so on."""
    found = {family: drawn for family, path in _families().items() if (drawn := _drawn(path, characters))}
    families: list[str] = []
    rest = characters
    while rest and found and len(families) < _AT_MOST:
        best = max(found, key=lambda family: len(found[family] & rest))
        if not found[best] & rest:
            break
        families.append(best)
        rest -= found.pop(best)
    if rest and not _SAID:
        _SAID.add(min(rest))
        _say_what_lacks(min(rest))
    return Fonts(tuple(families), rest)


@cache
def _families() -> dict[str, str]:
    """List the system's upright fonts: the file of each family whose weight comes nearest to the regular one."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):  # installed since matplotlib has made its list
        with contextlib.suppress(Exception):  # whatever a damaged file leads to
            fontManager.addfont(path)
    # among matplotlib's own are some with mathematical characters at the places of others, and one of mere boxes
    own = Path(mpl.get_data_path())
    entries = [
        entry for entry in fontManager.ttflist if entry.style == "normal" and own not in Path(entry.fname).parents
    ]
    entries.sort(key=lambda entry: (-abs(entry.weight - 400) if isinstance(entry.weight, int) else -1000, entry.fname))
    return dict(sorted({entry.name: entry.fname for entry in entries}.items()))


def _drawn(path: str, characters: frozenset[str]) -> frozenset[str]:
    """Find which characters a font has outlines for; coloured emoji are pictures, which matplotlib can't draw."""
    try:
        font = FT2Font(path)
        return frozenset(_outlined(font, characters)) if font.scalable else frozenset()
    except Exception:  # as above
        return frozenset()


def _outlined(font: FT2Font, characters: frozenset[str]) -> Iterator[str]:
    font.set_size(10, 72)
    for character in characters:
        index = font.get_char_index(ord(character))
        if index:
            font.load_glyph(index)
            if character.isspace() or len(font.get_path()[0]):
                yield character


def _say_what_lacks(character: str) -> None:
    rank_zero_warn(
        f"No font of this system draws all characters of the names of the classes, {character!r} for instance: figures "
        f"show names or codes in their place, such as [U+{ord(character):04X}]. Tables hold the names as they are; a "
        "font that has the characters helps (for Chinese, Japanese and Korean, Noto Sans CJK)."
    )
