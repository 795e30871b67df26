"""Pictures in memory: those of Pillow, NumPy arrays and tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as Pillow
from torch import Tensor

from datamodules.reading.eight_bits import deep_grey_on_white, is_transparent, on_white, scaled_to_eight_bits
from datamodules.reading.image_reader import Image, UnreadableImageError, reason_of
from datamodules.reading.orientation import orientation_of, turned
from datamodules.reading.undecodable import UndecodableError

_CHANNELS = (1, 3, 4)
_ARRAYS = "an array is (height, width), or (height, width, channels) with 1, 3 or 4 channels"
_TENSORS = "a tensor is (height, width), or (channels, height, width) with 1, 3 or 4 channels"
_ROUNDING = 1e-3


def from_memory(picture: Pillow.Image | npt.NDArray[Any] | Tensor, name: str) -> Image:
    """Bring a picture to what ``read_image`` returns.

    Args:
        picture: A picture of Pillow; an array of shape (height, width), or (height, width, channels) with one channel
            (grey), three (RGB) or four (RGBA); or a tensor, the same with its channels first. Numbers are uint8, uint16
            (scaled as those of files are), floats in [0, 1], or bool (white where true).
        name: What to call it in messages.

    Returns:
        The picture, uint8 of shape (height, width, 3), RGB, turned as its EXIF orientation asks, a transparent one on
        white.

    Raises:
        UnreadableImageError: If it can't be decoded, or its shape or its numbers may mean several things.
    """
    try:
        if isinstance(picture, Pillow.Image):
            return _from_pillow(picture)
        return _from_array(_channels_last(picture) if isinstance(picture, Tensor) else _checked(picture))
    except UndecodableError as error:
        reason = str(error).rstrip(".")
        raise UnreadableImageError(f"{name} can't be classified: {reason}.", reason) from error


def _from_pillow(picture: Pillow.Image) -> Image:
    try:
        picture.load()
        if picture.mode == "F" or picture.mode.startswith("I"):
            values = np.asarray(picture)
        else:
            values = on_white(picture) if is_transparent(picture) else np.asarray(picture.convert("RGB"))
    except Exception as error:  # Pillow and its plugins raise whatever damaged bytes lead to
        raise UndecodableError(reason_of(error)) from error
    if values.ndim == 2:
        integers = values.dtype.kind in "iu" and values.min(initial=0) >= 0
        if integers and values.size:
            values = deep_grey_on_white(values, picture.info.get("transparency"))
        values = values[..., None]
    return turned(_from_array(values), orientation_of(picture))


def _checked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give an array three dimensions, of which the last one are the channels for sure."""
    if array.ndim == 2:
        return array[..., None]
    _refuse_shape(array.shape, 2, 0, _ARRAYS)
    return array


def _channels_last(tensor: Tensor) -> npt.NDArray[Any]:
    """Turn a tensor into such an array."""
    values = tensor.detach().cpu()
    values = values.float() if values.dtype == torch.bfloat16 else values
    if values.ndim == 2:
        return np.asarray(values.numpy())[..., None]
    _refuse_shape(tuple(values.shape), 0, 2, _TENSORS)
    return np.asarray(values.permute(1, 2, 0).numpy())


def _refuse_shape(shape: tuple[int, ...], channels: int, other: int, expected: str) -> None:
    if len(shape) == 4:
        raise UndecodableError(f"its shape is {shape}, that of a batch: give a list of single pictures")
    if len(shape) != 3 or shape[channels] not in _CHANNELS:
        raise UndecodableError(f"its shape is {shape}, but {expected}")
    if shape[other] in _CHANNELS:
        raise UndecodableError(f"its shape is {shape}, of which the channels may be the first or the last: {expected}")


def _from_array(values: npt.NDArray[Any]) -> Image:
    """Convert numbers of shape (height, width, channels)."""
    if 0 in values.shape:
        raise UndecodableError("it has no pixels")
    count = values.shape[2]
    colours = _eight_bits(values[..., : min(count, 3)], deep=scaled_to_eight_bits)
    if count < 4:
        return np.ascontiguousarray(colours.repeat(3, axis=2) if count == 1 else colours)
    alpha = _eight_bits(values[..., 3:], deep=lambda part: np.rint(part / 257).astype(np.uint8))
    return on_white(Pillow.fromarray(np.concatenate([colours, alpha], axis=2)))


def _eight_bits(values: npt.NDArray[Any], deep: Callable[[npt.NDArray[Any]], Image]) -> Image:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either order of bytes
        return deep(values)
    if values.dtype.kind != "f":
        raise UndecodableError(
            f"its numbers are {values.dtype}: give uint8 from 0 to 255, uint16 from 0 to 65535 or floats from 0 to 1"
        )
    low, high = float(values.min()), float(values.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise UndecodableError(
            f"its floats go from {low:g} to {high:g}: give floats from 0 to 1 that aren't normalised, or uint8 from 0 "
            "to 255"
        )
    return np.rint(values.astype(np.float64) * 255).clip(0, 255).astype(np.uint8)
