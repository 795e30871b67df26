"""Shortens what the exporters of PyTorch and ONNX Runtime print and raise, which is meant for their developers."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 200  # characters


def reason_of(error: BaseException) -> str:
    """Take the beginning of what lies behind an error, which the exporter wraps in advice, in colours.

    Args:
        error: What an exporter raised.

    Returns:
        One line.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(_COLOURS.sub("", str(error)).split())[:_LONGEST]


@contextmanager
def without_logs() -> Iterator[None]:
    """Suppress what is printed, logged and warned of during an export.

    Yields:
        Nothing.
    """
    level = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
