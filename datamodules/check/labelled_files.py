"""The files of all splits of a data module, side by side."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.image_data_module import ImageDataModule
from datamodules.image_folder import ImageFolderDataModule
from datamodules.loading_data_module import Split
from datamodules.samples import Samples

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class LabelledFiles:
    """Files with their labels and boxes.

    Attributes:
        files: Paths.
        splits: Split of each.
        positions: Its place among the samples of that split, int64 of shape (n,).
        labels: Class index of each, int64 of shape (n,).
        boxes: Boxes, int64 of shape (n, 4), or None.
        class_names: Names of the classes.
        missing: Why a split can't be listed, where it can't.
        divided_by: The file that records a division which this program has made; None if there is none.
        cropped: Whether images are cut out along their boxes, of which a file may have several.
    """

    files: list[str]
    splits: list[Split]
    positions: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64] | None
    class_names: list[str]
    missing: dict[str, str]
    divided_by: Path | None = None
    cropped: bool = False

    def describe(self, index: int) -> str:
        """Name the split and the class of a file.

        Args:
            index: Its position.

        Returns:
            Text like ``train, Audi TT Hatchback 2011``.
        """
        return f"{self.splits[index]}, {self.class_names[self.labels[index]]}"

    def are_crops_of_one(self, first: int, second: int) -> bool:
        """Check whether two images are different parts of the same file.

        Args:
            first: Position of one.
            second: Position of the other.

        Returns:
            Whether they are.
        """
        if not self.cropped or self.boxes is None or self.files[first] != self.files[second]:
            return False
        return bool((self.boxes[first] != self.boxes[second]).any())

    def counts(self, split: str) -> npt.NDArray[np.int64]:
        """Count the images of each class in a split.

        Args:
            split: The split.

        Returns:
            Counts, int64 of shape (classes,).
        """
        labels = self.labels[np.array(self.splits) == split]
        return np.bincount(labels, minlength=len(self.class_names)).astype(np.int64)


def list_files(data: ImageDataModule) -> LabelledFiles:
    """List the labelled files of all splits.

    Args:
        data: The data module.

    Returns:
        The files.

    Raises:
        MisconfigurationException: If no split can be listed.
    """
    found: dict[Split, Samples] = {}
    positions: list[npt.NDArray[np.int64]] = []
    missing: dict[str, str] = {}
    for split in _SPLITS:
        try:
            samples = data.samples(split)
        except MisconfigurationException as error:
            missing[split] = str(error)
            continue
        labelled = samples.labelled()
        if len(labelled) or not len(samples):
            found[split] = samples.take(labelled)
            positions.append(labelled)
        else:
            missing[split] = f"No image of the {split} split has a label."
    if not found:
        raise MisconfigurationException(missing["train"])
    parts = list(found.values())
    boxes = [part.boxes for part in parts if part.boxes is not None]
    return LabelledFiles(
        [str(file) for part in parts for file in part.files],
        [split for split, part in found.items() for _ in range(len(part))],
        np.concatenate(positions),
        np.concatenate([part.labels for part in parts if part.labels is not None]),
        np.concatenate(boxes) if len(boxes) == len(parts) else None,
        data.class_names,
        missing,
        data.layout.divided_by if isinstance(data, ImageFolderDataModule) else None,
        data.crop_margin is not None,
    )
