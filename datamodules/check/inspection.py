"""Inspects single image files."""

import io
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from torch.utils.data import DataLoader, Dataset

from datamodules.check.exchanged_colours import ColourBalance, colour_balance
from datamodules.fingerprints import Fingerprint, fingerprint_of
from datamodules.progress import progress
from datamodules.reading.eight_bits import is_transparent
from datamodules.reading.file_kinds import recognise
from datamodules.reading.image_reader import UnreadableImageError, decode_stored, read_bytes
from datamodules.reading.orientation import exif_orientation, turn_upright

_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".mpo"},
    "PNG": {".png", ".apng"},
    "WebP": {".webp"},
    "AVIF": {".avif", ".avifs"},
    "HEIC": {".heic", ".heif", ".hif"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "JPEG 2000": {".jp2", ".j2k", ".jpf", ".jpx"},
    "JPEG XL": {".jxl"},
}
_MODES = {
    "L": "greyscale",
    "1": "greyscale",
    "LA": "greyscale",
    "CMYK": "CMYK",
    "P": "palette",
    "PA": "palette",
    "LAB": "LAB",
}
_BITS_PER_SAMPLE = 258  # number of the TIFF tag


class Inspection(NamedTuple):
    """What was found in a file.

    Attributes:
        problem: Why it can't be used, or None.
        traits: What has to be converted when it is read, or is odd about it.
        width: Width in pixels, as it is stored.
        height: Height in pixels, as it is stored.
        fingerprint: What equal pictures have in common; None if it can't be read.
        balance: Strong red and blue.
    """

    problem: str | None
    traits: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    fingerprint: Fingerprint | None = None
    balance: ColourBalance | None = None


def inspect_image(path: str, content: bytes | None = None) -> Inspection:
    """Decode a file and look at its header.

    Args:
        path: The file.
        content: What it holds; None reads it.

    Returns:
        What was found.
    """
    try:
        data = read_bytes(path) if content is None else content
        stored = decode_stored(data, path)
    except UnreadableImageError as error:
        return Inspection(error.reason)
    image = turn_upright(stored.image, stored.data)
    height, width = stored.image.shape[:2]
    traits = _traits(stored.data, path)
    return Inspection(
        None,
        tuple([*traits, "odd JPEG header"] if stored.odd_header else traits),
        width,
        height,
        fingerprint_of(data, image),
        colour_balance(image),
    )


def inspect_images(
    files: npt.NDArray[np.str_], processes: int, content: Callable[[int], bytes | None] | None = None
) -> list[Inspection]:
    """Inspect files in parallel, with a progress bar.

    Args:
        files: Paths.
        processes: Number of processes.
        content: Tells what a file holds by its position, or None where it has to be read.

    Returns:
        What was found in each.
    """
    loader = DataLoader(_Inspections(files, content), batch_size=16, num_workers=processes, collate_fn=list)
    found: list[Inspection] = []
    with progress(total=len(files), desc="checking", unit=" images") as bar:
        for batch in loader:
            found += batch
            bar.update(len(batch))
    return found


class _Inspections(Dataset[Inspection]):
    def __init__(self, files: npt.NDArray[np.str_], content: Callable[[int], bytes | None] | None) -> None:
        self.files, self.content = files, content

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Inspection:
        return inspect_image(str(self.files[index]), None if self.content is None else self.content(index))


def _traits(data: bytes, path: str) -> list[str]:
    try:
        with Pillow.open(io.BytesIO(data)) as picture:
            traits = [_MODES[picture.mode]] if picture.mode in _MODES else []
            deepest = max(getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,)))  # of TIFFs
            if picture.mode[0] in "IF" or (picture.format == "PNG" and data[24] == 16) or deepest > 8:
                traits.append("16 bits" if picture.mode != "F" else "floating point")
            if is_transparent(picture):
                traits.append("transparency")
            if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
                traits.append("animation")
    except Exception:  # Pillow knows fewer files than OpenCV, and raises whatever their bytes lead to
        traits = []
    if exif_orientation(data) != 1:
        traits.append("EXIF orientation")
    kind, suffix = recognise(data), os.path.splitext(path)[1].lower()  # noqa: PTH122
    promised = {name for name, suffixes in _SUFFIXES.items() if suffix in suffixes}
    if kind and promised and kind.format not in promised:
        traits.append(f"wrong extension ({kind.format})")
    return traits
