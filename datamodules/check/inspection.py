"""What there is to know about one image file."""

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from datamodules.fingerprints import Fingerprint, fingerprint_of
from datamodules.image_reader import UnreadableImageError, decode_image, read_bytes
from datamodules.orientation import exif_orientation

_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg"},
    "MPO": {".jpg", ".jpeg"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "AVIF": {".avif"},
    "GIF": {".gif"},
    "BMP": {".bmp"},
    "TIFF": {".tif", ".tiff"},
}
_MODES = {"L": "greyscale", "1": "greyscale", "LA": "greyscale", "CMYK": "CMYK", "P": "palette", "PA": "palette"}


class Inspection(NamedTuple):
    """What was found in a file.

    Attributes:
        problem: Why it can't be used, or None.
        traits: What has to be converted when it is read, or is odd about it.
        width: Width in pixels, as it is stored.
        height: Height in pixels, as it is stored.
        fingerprint: What equal pictures have in common; None if it can't be read.
    """

    problem: str | None
    traits: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    fingerprint: Fingerprint | None = None


def inspect_image(path: str) -> Inspection:
    """Decode a file and look at its header.

    Args:
        path: The file.

    Returns:
        What was found.
    """
    try:
        data = read_bytes(path)
        image = decode_image(data, path)
    except UnreadableImageError as error:
        return Inspection(str(error))
    height, width = image.shape[:2]
    if exif_orientation(data) > 4:
        height, width = width, height
    return Inspection(
        None,
        tuple(_traits(data, path)),
        width,
        height,
        fingerprint_of(data, image),
    )


def inspect_images(files: npt.NDArray[np.str_], processes: int) -> list[Inspection]:
    """Inspect files in parallel, with a progress bar.

    Args:
        files: Paths.
        processes: Number of processes.

    Returns:
        What was found in each.
    """
    loader = DataLoader(_Inspections(files), batch_size=16, num_workers=processes, collate_fn=list)
    found: list[Inspection] = []
    with tqdm(total=len(files), desc="checking", unit=" images") as bar:
        for batch in loader:
            found += batch
            bar.update(len(batch))
    return found


class _Inspections(Dataset[Inspection]):
    def __init__(self, files: npt.NDArray[np.str_]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Inspection:
        return inspect_image(str(self.files[index]))


def _traits(data: bytes, path: str) -> list[str]:
    try:
        with Pillow.open(io.BytesIO(data)) as picture:
            traits = [_MODES[picture.mode]] if picture.mode in _MODES else []
            if picture.mode.startswith("I") or (picture.format == "PNG" and data[24] == 16):
                traits.append("16 bits")
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                traits.append("transparency")
            if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
                traits.append("animation")
            kind = str(picture.format)
    except Exception:  # Pillow knows fewer files than OpenCV, and raises whatever their bytes lead to
        return []
    if exif_orientation(data) != 1:
        traits.append("EXIF orientation")
    if os.path.splitext(path)[1].lower() not in _SUFFIXES.get(kind, {Path(path).suffix.lower()}):  # noqa: PTH122
        traits.append(f"wrong extension ({kind})")
    return traits
