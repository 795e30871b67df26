"""Stanford Cars in the layout of its devkit."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import devkit
from datamodules.image_data_module import ImageDataModule
from datamodules.samples import Samples, stratified_split


class StanfordCarsDataModule(ImageDataModule):
    """Stanford Cars: 196 makes, models and years (Krause et al., 3D Object Representations, 2013).

    The test part is never seen in training: the validation split comes out of the training part.

    Args:
        root: Folder with ``devkit/``, ``cars_train/``, ``cars_test/`` and ``cars_test_annos_withlabels.mat``, or the
            folder above it if it is called ``stanford_cars`` (torchvision's layout). To test, the test part is enough.
        val_fraction: Share of the training images that validates instead, equal in all classes.
        split_seed: Seed of that split, apart from the run's own, so that runs with other seeds stay comparable.
        crop_to_box: Cut every image of every split out along its annotated box. Scores with and without are two
            different protocols; training on crops and testing on whole images would cost about 9.5 points.
        box_margin: Share of the box's width and height kept around it on every side.
        **options: Arguments of ``ImageDataModule``.
    """

    def __init__(
        self,
        root: str = "data/stanford_cars",
        val_fraction: float = 0.1,
        split_seed: int = 0,
        crop_to_box: bool = False,
        box_margin: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not 0 <= box_margin < 10:
            raise MisconfigurationException(f"data.box_margin is {box_margin}: it has to be 0 or more.")
        self.root = Path(root)
        self.val_fraction = val_fraction
        self.split_seed = split_seed
        self.crop_to_box = crop_to_box
        self.box_margin = box_margin

    @cached_property
    def folder(self) -> Path:
        """The folder that holds ``devkit``."""
        nested = self.root / "stanford_cars"
        if not self.root.is_dir():
            raise MisconfigurationException(f"data.root is {self.root}, which is not a folder.")
        return nested if nested.is_dir() and not (self.root / "devkit").exists() else self.root

    @cached_property
    def class_names(self) -> list[str]:
        """Names in devkit order, which is not the alphabetical one."""
        return devkit.read_class_names(self.folder)

    @property
    def dataset_options(self) -> dict[str, Any]:
        """Crop, and leave pictures as they are stored: the boxes refer to those pixels."""
        return {"crop_to_box": self.crop_to_box, "box_margin": self.box_margin, "upright": False}

    def samples(self, split: Literal["train", "val", "test"]) -> Samples:
        """List one split.

        Args:
            split: The split; train and val are the two parts of ``cars_train``.

        Returns:
            Its files, labels and boxes.

        Raises:
            MisconfigurationException: If annotation files or folders are missing or damaged.
        """
        if split == "test":
            return devkit.read_samples(self.folder, "test", len(self.class_names))
        annotated = devkit.read_samples(self.folder, "train", len(self.class_names))
        train, val = stratified_split(annotated, self.val_fraction, self.split_seed)
        return train if split == "train" else val
