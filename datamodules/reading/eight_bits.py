"""Converts transparent pictures and deep colours to opaque ones of 8 bits."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from datamodules.reading.undecodable import UndecodableError

# Cameras and scanners of 10, 12 or 14 bits often store their values unchanged in 16 bits, of which they would be black.
_DEEPEST_SENSOR = 1 << 14


def scaled_to_eight_bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Bring deep colours to 0 to 255.

    Unsigned 16-bit values are divided by 257, and floating-point values between 0 and 1 are multiplied by 255, if the
    largest uses at least the upper three quarters of that range; all others are stretched from the smallest to the
    largest of the picture, so that pictures of 10, 12 or 14 significant bits aren't black.

    Args:
        values: Numbers of any shape and type.

    Returns:
        The picture, uint8 of the same shape.

    Raises:
        UndecodableError: If values are infinite or no numbers.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise UndecodableError("it holds values that are infinite or no numbers")
    floating = np.issubdtype(values.dtype, np.floating)
    full, limit = (1.0, 0.25) if floating else (65535.0, float(_DEEPEST_SENSOR))
    if low >= 0 and (limit <= high <= full or low == high <= full):
        low, high = 0.0, full
    span = high - low or 1.0
    return np.rint((values.astype(np.float64) - low) * (255 / span)).clip(0, 255).astype(np.uint8)


def deep_grey_on_white(values: npt.NDArray[Any], transparent: int | None) -> npt.NDArray[np.uint8]:
    """Bring deep grey to 0 to 255, as ``scaled_to_eight_bits`` does, but for one that is transparent.

    Args:
        values: Grey of any shape and type.
        transparent: The one that is transparent; None if none is.

    Returns:
        The picture, uint8 of the same shape, white where it is transparent.
    """
    return np.where(values == transparent, np.uint8(255), scaled_to_eight_bits(values))


def on_white(picture: Pillow.Image) -> npt.NDArray[np.uint8]:
    """Lay a transparent picture on white, as browsers show it.

    Args:
        picture: A picture of any mode of 8 bits, decoded or not.

    Returns:
        The picture, uint8 of shape (height, width, 3), RGB.
    """
    coloured = picture.convert("RGBA")
    return np.asarray(Pillow.alpha_composite(Pillow.new("RGBA", coloured.size, "white"), coloured).convert("RGB"))


def is_transparent(picture: Pillow.Image) -> bool:
    """Check whether a picture can have transparent parts.

    Args:
        picture: The picture; its header suffices.

    Returns:
        Whether it can.
    """
    return picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info
