"""Writes figures as pictures."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from runs.whole_file import write_atomically


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all.

    Args:
        path: The file.
        figure: The figure.
    """
    write_atomically(path, encoded_figure(figure))


def encoded_figure(figure: Figure) -> bytes:
    """Draw a figure.

    Args:
        figure: The figure.

    Returns:
        A PNG file.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def is_figure(path: Path) -> bool:
    """Distinguish a figure, which a newer one may replace, from a photograph.

    Args:
        path: A file.

    Returns:
        Whether Matplotlib has written it, which leaves its name in the picture.
    """
    try:
        with Image.open(path) as picture:
            return picture.format == "PNG" and str(picture.info.get("Software", "")).startswith("Matplotlib")
    except (OSError, ValueError):  # no picture, or no file
        return False
