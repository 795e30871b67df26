"""Names in a sentence."""

from collections.abc import Sequence

_NAMED = 5


def listed(names: Sequence[str]) -> str:
    """List names in words, the first five of them.

    Args:
        names: One or more.

    Returns:
        Text like ``3, 4 and 9`` or ``3, 4, 9, 10, 11 and 7 more``.
    """
    more = len(names) - _NAMED
    shown = [*names[:_NAMED], f"{more} more"] if more > 0 else [*names]
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]
