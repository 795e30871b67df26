"""Suggests the nearest valid name for a misspelt one."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest valid name.

    Args:
        name: What was written.
        known: What could have been meant. Of a dotted name, only names with the same beginning are considered, if
            there are any.

    Returns:
        A sentence with a leading space, or nothing when no name is near.
    """
    known = sorted(known)
    prefix = name.rpartition(".")[0]
    siblings = {other.rpartition(".")[2]: other for other in known if prefix and other.rpartition(".")[0] == prefix}
    if siblings:
        nearest = [siblings[key] for key in difflib.get_close_matches(name.rpartition(".")[2], siblings, n=1)]
    else:
        nearest = difflib.get_close_matches(name, known, n=1)
    if not nearest and not prefix:  # of which the section was left out
        tails = {other.rpartition(".")[2]: other for other in reversed(known) if "." in other}
        nearest = [tails[key] for key in difflib.get_close_matches(name, tails, n=1)]
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
