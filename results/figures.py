"""Writes figures as pictures."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from runs.whole_file import write_atomically


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all.

    Args:
        path: The file.
        figure: The figure.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomically(path, picture.getvalue())
