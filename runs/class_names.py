"""Finds classes by name, though data sets and checkpoints spell them in different ways."""

import unicodedata
from collections import Counter
from collections.abc import Sequence


class ClassNames:
    """The classes of a checkpoint, to be found by name.

    A name is the same if it is spelt the same, or but for Unicode composition (macOS decomposes the names of folders)
    and ``-`` in the place of ``/``, which no folder's name can hold.

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


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("/", "-")
