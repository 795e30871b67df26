"""Copies Stanford Cars with some of its classes, or with smaller photographs.

python -m benchmarks.cars_copy ROOT FOLDER [--classes N] [--side 160 --quality 60]

The copy has the devkit layout, with boxes that fit. Photographs whose shorter side is longer than ``--side`` are shrunk
by averaging over areas and stored as JPEG; without ``--side`` they are links to the originals. Prints the size.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from datamodules import StanfordCarsDataModule
from datamodules.layouts.annotation_files import IMAGES, META, write_class_names, write_samples
from datamodules.samples import Samples


def copy_cars(root: Path, folder: Path, classes: int | None = None, side: int | None = None, quality: int = 90) -> None:
    """Write a copy.

    Args:
        root: Stanford Cars, in any layout with the parts train and test.
        folder: The copy's folder, which must not exist.
        classes: How many classes, the first ones of the devkit's list, have photographs in it; None takes all.
        side: Longest shorter side in pixels; None links to the photographs.
        quality: Of the JPEG files, 1 to 100.

    Raises:
        FileExistsError: If the folder exists.
    """
    data = StanfordCarsDataModule(root=str(root))
    (folder / META).parent.mkdir(parents=True)
    write_class_names(folder, data.class_names)
    for part in ("train", "test"):
        samples = data.read(part)
        assert samples.labels is not None
        if classes is not None:
            samples = samples.take(np.flatnonzero(samples.labels < classes))
        pictures = folder / IMAGES[part]
        pictures.mkdir()
        boxes = None if samples.boxes is None else samples.boxes.copy()
        for index, file in enumerate(samples.files.tolist()):
            copy = pictures / Path(file).name
            if side is None:
                copy.symlink_to(Path(file).absolute())
                continue
            scale = _shrink(Path(file), copy, side, quality)
            if boxes is not None:
                boxes[index] = np.rint(boxes[index] * np.tile(scale, 2))
        write_samples(folder, part, Samples(samples.files, samples.labels, boxes))


def _shrink(file: Path, copy: Path, side: int, quality: int) -> npt.NDArray[np.float64]:
    """Write a smaller photograph, as it is stored, not turned; returns the factors (x, y) of its size."""
    image = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise SystemExit(f"Can't decode {file}.")
    height, width = image.shape[:2]
    factor = min(1.0, side / min(height, width))
    size = round(width * factor), round(height * factor)
    small = image if factor == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    if not done:
        raise SystemExit(f"Can't encode {file}.")
    copy.write_bytes(data.tobytes())
    return np.array([size[0] / width, size[1] / height])


def main() -> None:
    """Copy, and print the number of files and their size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="Stanford Cars")
    parser.add_argument("folder", type=Path, help="folder of the copy, which must not exist")
    parser.add_argument("--classes", type=int, help="number of classes that have photographs")
    parser.add_argument("--side", type=int, help="longest shorter side in pixels; links to the photographs without it")
    parser.add_argument("--quality", type=int, default=90, help="quality of the JPEG files")
    options = parser.parse_args()
    copy_cars(options.root, options.folder, options.classes, options.side, options.quality)
    sizes = [path.stat().st_size for path in options.folder.rglob("*") if path.is_file()]
    print(f"{options.folder}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
