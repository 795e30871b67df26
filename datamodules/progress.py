"""Progress bars where somebody looks, and lines in log files."""

import sys
from collections.abc import Iterable, Sized
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from tqdm.auto import tqdm


def progress(iterable: Iterable[Any] | None = None, silent: bool = False, **options: Any) -> "tqdm[Any]":
    """Make a bar; a log file or a pipe gets a line with what has begun.

    Args:
        iterable: What is gone through; None for a bar that is updated by hand.
        silent: Leave the bar out in any case.
        **options: Arguments of ``tqdm``.

    Returns:
        The bar; one that isn't drawn counts nothing either.
    """
    silent |= getattr(rank_zero_only, "rank", 0) != 0  # of several processes one speaks
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not watched and not silent:
        total = options.get("total", len(iterable) if isinstance(iterable, Sized) else None)
        amount = "" if total is None else f", {tqdm.format_sizeof(total) if 'unit_scale' in options else total}"
        sys.stderr.write(f"{options['desc']}{amount}{options['unit'] if amount else ''}\n")
    return tqdm(iterable, disable=silent or not watched, **options)
