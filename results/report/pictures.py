"""Small pictures embedded in a page."""

import base64
import io

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
_HEIGHT, _RATIO = 160, 2.2
_ALIKE = 8.0  # mean difference in levels up to which a picture was only resized


def data_uri(pixels: Pixels) -> str:
    """Make a thumbnail.

    Args:
        pixels: A picture, RGB, uint8 of shape (height, width, 3).

    Returns:
        A JPEG of 160 rows as a ``data:`` URI, some 7 kB.
    """
    height, width = pixels.shape[:2]
    size = (round(min(_RATIO, max(1 / _RATIO, width / height)) * _HEIGHT), _HEIGHT)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3).save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def with_heat(pixels: Pixels, heat: npt.NDArray[np.float32]) -> Pixels:
    """Lay a heat map over a picture.

    Args:
        pixels: A picture, RGB, uint8 of shape (height, width, 3).
        heat: Values from 0 to 1 of shape (rows, columns), spread over the whole picture.

    Returns:
        The picture, darker where the map is low and red where it is high, of the same shape.
    """
    height, width = pixels.shape[:2]
    spread = Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    values = np.clip(np.asarray(spread), 0, 1)[..., None]
    colours = mpl.colormaps["turbo"](values[..., 0])[..., :3] * 255
    opacity = 0.6 * values
    return np.asarray((1 - opacity) * (0.5 + 0.5 * values) * pixels + opacity * colours, dtype=np.uint8)


def heat_uri(pixels: Pixels, heat: npt.NDArray[np.float32]) -> str:
    """Make a thumbnail with a heat map.

    Args:
        pixels: A picture, RGB, uint8 of shape (height, width, 3).
        heat: As that of ``with_heat``.

    Returns:
        A JPEG of 160 rows as a ``data:`` URI.
    """
    factor = min(pixels.shape[:2]) // (2 * _HEIGHT)  # a whole photograph would take gigabytes of floats
    small = np.asarray(Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels
    return data_uri(with_heat(small, heat))


def seen_by_network(original: Pixels, pixels: Pixels) -> Pixels:
    """Choose the picture over which a heat map is drawn.

    Args:
        original: The photograph, uint8 of shape (height, width, 3).
        pixels: What the network is given of it, of shape (side, side, 3).

    Returns:
        The original, with its proportions, if it was only resized; else what the network is given.
    """
    resized = Image.fromarray(original).resize(pixels.shape[1::-1], Image.Resampling.BOX)
    difference = np.abs(np.asarray(resized, dtype=np.float32) - pixels).mean()
    return original if difference < _ALIKE else pixels
