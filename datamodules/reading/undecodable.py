"""The errors of decoders."""


class UndecodableError(ValueError):
    """A picture that can't be decoded; its message says why, without the name of the file and without a full stop."""


def refuse_huge(width: int, height: int, max_pixels: int) -> None:
    """Refuse pictures that would fill the memory.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        max_pixels: How many pixels there may be.

    Raises:
        UndecodableError: If there are more.
    """
    if width * height > max_pixels:
        raise UndecodableError(f"its {width}x{height} pixels are more than the {max_pixels} allowed")
