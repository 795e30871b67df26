"""Finds classes by name, although data sets and checkpoints spell them differently."""

import unicodedata
from collections import Counter
from collections.abc import Sequence


class ClassNames:
    """The classes of a checkpoint, to be found by name.

    A name is the same if it is spelt the same, or but for what ``same_name`` passes over.

    Args:
        names: Names in the order of their indices.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._exact = {name: index for index, name in enumerate(names)}
        times = Counter(map(_spelling, names))
        self._similar = {_spelling(name): index for name, index in self._exact.items() if times[_spelling(name)] == 1}

    def find(self, name: str) -> int | None:
        """Find a class.

        Args:
            name: Its name elsewhere.

        Returns:
            Its index; None if it isn't among them, or two of them are spelt that much alike.
        """
        return self._exact.get(name, self._similar.get(_spelling(name)))


def same_name(name: str, other: str) -> bool:
    """Compare two names.

    Args:
        name: A name of a class.
        other: Another.

    Returns:
        Whether they are the same but for Unicode composition (macOS decomposes the names of folders), blanks around
        them, and ``-`` in the place of ``/``, which no folder's name can hold.
    """
    return name == other or _spelling(name) == _spelling(other)


def told_apart(name: str, other: str) -> tuple[str, str]:
    """Quote two names for a message so that people see how they differ.

    Args:
        name: A name of a class.
        other: Another.

    Returns:
        The names in quotes; if they look alike, with escapes for all but ASCII, and else as they are. Letters of
        different scripts look alike (Latin and Cyrillic a), and so do kinds of blanks.
    """
    pairs = list(zip(name, other, strict=False))
    # letters of two scripts are found by what surrounds them
    one_for_one = len(name) == len(other) and all(
        mine == theirs or not (mine.isascii() and theirs.isascii()) for mine, theirs in pairs
    )
    foreign = one_for_one and any(mine.isascii() != theirs.isascii() for mine, theirs in pairs if mine != theirs)
    alike = foreign or _skeleton(name) == _skeleton(other)
    return (ascii(name), ascii(other)) if alike else (repr(name), repr(other))


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().replace("/", "-")


def _skeleton(name: str) -> str:
    """Remove what is hardly visible: marks, blanks, signs without width, variants of the same letter."""
    return "".join(
        character for character in unicodedata.normalize("NFKD", name) if unicodedata.category(character)[0] in "LNPS"
    )
