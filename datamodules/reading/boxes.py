"""Boxes around what a picture shows."""

from datamodules.reading.image_reader import Box


def widened(box: Box, margin: float) -> Box:
    """Add a margin to a box.

    Args:
        box: Left, top, right and bottom in pixels.
        margin: Share of the box's width and height to add on every side.

    Returns:
        The larger box, which may reach beyond the picture.
    """
    x1, y1, x2, y2 = box
    margin_x, margin_y = round(margin * (x2 - x1)), round(margin * (y2 - y1))
    return x1 - margin_x, y1 - margin_y, x2 + margin_x, y2 + margin_y
