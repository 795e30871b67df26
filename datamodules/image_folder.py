"""One's own photographs, sorted into a folder for each class."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.image_data_module import ImageDataModule
from datamodules.image_reader import find_images
from datamodules.samples import Samples, stratified_split


class ImageFolderDataModule(ImageDataModule):
    """Photographs in ``root/{train,val,test}/CLASS/*``; without ``val``, a part of ``train`` validates.

    Args:
        root: Folder with ``train``, ``test`` and, if there is one, ``val``. A stage needs only its own folders.
        val_fraction: Share of ``train`` that validates where there is no ``val``, equal in all classes.
        split_seed: Seed of that split.
        **options: Arguments of ``ImageDataModule``.
    """

    def __init__(
        self, root: str = "data/photos", val_fraction: float = 0.1, split_seed: int = 0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.root = Path(root)
        self.val_fraction = val_fraction
        self.split_seed = split_seed

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the class folders, sorted, of the first of train, val and test that there is."""
        for split in ("train", "val", "test"):
            folder = self.root / split
            if folder.is_dir():
                names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
                if len(names) < 2:
                    raise MisconfigurationException(
                        f"{folder} holds {len(names)} class folders, but it takes two to tell apart."
                    )
                return names
        raise MisconfigurationException(
            f"data.root is {self.root}, which has no folder train, val or test with a folder for each class."
        )

    def samples(self, split: Literal["train", "val", "test"]) -> Samples:
        """List one split.

        Args:
            split: The split.

        Returns:
            Its files and labels, class by class.

        Raises:
            MisconfigurationException: If its folder is missing or holds an unknown class.
        """
        if (self.root / split).is_dir():
            samples = self._read(self.root / split)
            if split == "train" and not (self.root / "val").is_dir():
                return stratified_split(samples, self.val_fraction, self.split_seed)[0]
            return samples
        if split == "val" and (self.root / "train").is_dir():
            return stratified_split(self._read(self.root / "train"), self.val_fraction, self.split_seed)[1]
        raise MisconfigurationException(f"There is no folder {self.root / split} with a folder for each class.")

    def _read(self, folder: Path) -> Samples:
        indices = {name: index for index, name in enumerate(self.class_names)}
        unknown = sorted(
            {path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."} - set(indices)
        )
        if unknown:
            raise MisconfigurationException(
                f"{folder / unknown[0]} is a class that the training folder doesn't have: rename or remove it."
            )
        files = [(path, label) for name, label in indices.items() for path in find_images(folder / name)]
        empty = sorted(set(indices) - {self.class_names[label] for _, label in files}) if folder.name == "train" else []
        if empty:
            raise MisconfigurationException(f"The class folder {folder / empty[0]} holds no images.")
        return Samples(
            np.array([str(path) for path, _ in files]), np.array([label for _, label in files], dtype=np.int64)
        )
