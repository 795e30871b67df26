"""One's own photographs, in any of the usual layouts."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from datamodules.exclusion import without_excluded
from datamodules.image_data_module import ImageDataModule
from datamodules.image_reader import find_images
from datamodules.layouts import SPLIT_FILE, Layout, Part, recognise_layout, require_labels, write_split
from datamodules.samples import NO_LABEL, Samples, stratified_split

Split: TypeAlias = Literal["train", "val", "test"]


class ImageFolderDataModule(ImageDataModule):
    """Photographs in class folders or listed in a table; the layout is recognised.

    - ``root/{train,val,test}/CLASS/*``; without ``val``, a part of ``train`` validates.
    - ``root/CLASS/*``: a part of each class becomes the test set, once; ``root/split.csv`` records it, and later runs
      follow that file. Where the evaluated network was trained on another ``root``, all images are evaluated instead.
    - A CSV or Parquet file, or a folder with one, with the columns ``path,label`` and perhaps ``split`` (train, val or
      test) and ``x1,y1,x2,y2`` (a box in pixels counting from 0, x2 and y2 exclusive).

    Args:
        root: The folder, or the table. A stage needs only its own part of the data.
        val_fraction: Share of the training images that validates where there is no ``val``, equal in all classes.
        test_fraction: Share of the images that is kept for testing where nothing is divided yet.
        split_seed: Seed of these divisions, apart from the run's own, so that runs with other seeds stay comparable.
        crop_to_box: Cut every image of every split out along its annotated box. Scores with and without are two
            different protocols; training on crops and testing on whole images would cost about 9.5 points.
        box_margin: Share of the box's width and height kept around it on every side.
        exclude: Text file with the images to leave out, one path a line, relative to the layout's folder;
            ``train.py check`` proposes one.
        **options: Arguments of ``ImageDataModule``.
    """

    def __init__(
        self,
        root: str = "data/photos",
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        crop_to_box: bool = False,
        box_margin: float = 0.05,
        exclude: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not 0 <= box_margin < 10:
            raise MisconfigurationException(f"data.box_margin is {box_margin}: it has to be 0 or more.")
        self.root = Path(root)
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.split_seed = split_seed
        self.crop_to_box = crop_to_box
        self.box_margin = box_margin
        self.exclude = exclude
        self._splits: dict[Split, Samples] = {}

    @property
    def folder(self) -> Path:
        """Where the data set lies."""
        return self.root

    @cached_property
    def layout(self) -> Layout:
        """The data set as it was recognised."""
        return recognise_layout(self.folder, evaluation=self.index_of is not None)

    def relabel(self, index_of: Callable[[str], int | None], trained_elsewhere: bool = False) -> None:
        """Label images as a trained network does, and recognise the data set anew; see ``ImageDataModule.relabel``."""
        super().relabel(index_of, trained_elsewhere)
        self.__dict__.pop("layout", None)
        self._splits.clear()

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, sorted unless the layout has an order of its own; two or more, unless relabelled."""
        layout = self.layout
        if len(layout.class_names) < 2 and self.index_of is None:
            raise MisconfigurationException(
                f"{layout.folder} ({layout.kind}) names {len(layout.class_names)} classes, but it takes two to tell "
                "apart."
            )
        return layout.class_names

    @property
    def crop_margin(self) -> float | None:
        """Margin of the boxes that pictures are cut out along; None leaves them whole."""
        return self.box_margin if self.crop_to_box else None

    @property
    def predicting(self) -> bool:
        """Whether the trainer predicts, for which no labelled data are needed."""
        return self.trainer is not None and self.trainer.state.fn == "predict"

    def prepare_data(self) -> None:
        """Record the division of a data set that had none, so that its test set stays what it was."""
        if self.predicting:
            return
        layout = self.layout
        if layout.folder.name == SPLIT_FILE:
            self._look_for_new_images()
        if layout.split_file is None or self._is_whole():
            return
        parts = self._divided(layout.read("all"))
        try:
            write_split(layout.split_file, layout.base, parts, layout.class_names)
        except (OSError, UnicodeEncodeError) as error:
            number = error.errno if isinstance(error, OSError) else None
            reason = os.strerror(number) if number else error  # pyarrow's own text names a draft
            rank_zero_warn(
                f"Can't write {layout.split_file} ({reason}): the test set will change if photographs are added."
            )
        else:
            rank_zero_info(f"{layout.split_file} records which {len(parts['test'])} photographs are for testing.")

    def _look_for_new_images(self) -> None:
        recorded = sum(len(self.layout.read(part)) for part in self.layout.parts)
        new = len(find_images(self.layout.base)) - recorded
        if new > 0:
            rank_zero_warn(
                f"{new} photographs in {self.layout.base} are not in {SPLIT_FILE} and won't be used: add them to it, "
                "or delete it to divide all photographs anew."
            )

    def samples(self, split: Split) -> Samples:
        """List one split.

        Args:
            split: The split; without a ``val`` part, train and val are the two parts of the training images.

        Returns:
            Its files, labels and, if there are any, boxes.

        Raises:
            MisconfigurationException: If files are missing or damaged, or boxes are needed that aren't there.
        """
        layout = self.layout
        if split not in self._splits:
            self._splits |= self._read_split(split)
        samples = self._splits[split]
        if self.crop_to_box and samples.boxes is None:
            raise MisconfigurationException(
                f"data.crop_to_box needs boxes, but {layout.folder} ({layout.kind}) has none."
            )
        return self._kept(samples)

    def read(self, part: Part) -> Samples:
        """List a part as the layout has it.

        Args:
            part: The part.

        Returns:
            Its samples, those that are to be excluded among them.
        """
        return self.layout.read(part)

    def _read_split(self, split: Split) -> dict[Split, Samples]:
        """List a split, and what is divided along with it: a million files take their time."""
        parts = self.layout.parts
        if self._is_whole():
            samples = self.layout.read("all")
            number, verb = len(self._kept(samples)), "tested" if split == "test" else "validated"
            rank_zero_info(f"{self.layout.folder} isn't divided: all {number} images are {verb}.")
            return {split: samples}
        if split == "test" or "val" in parts:
            return {split: self._divided(self.layout.read("all"))["test"] if "all" in parts else self.read(split)}
        samples = self._divided(self.layout.read("all"))["train"] if "all" in parts else self.read("train")
        train, val = stratified_split(samples, self.val_fraction, self.split_seed)
        return {"train": train, "val": val}

    def _kept(self, samples: Samples) -> Samples:
        return without_excluded(samples, self.layout.base, self.exclude) if self.exclude else samples

    def _is_whole(self) -> bool:
        return self.trained_elsewhere and "all" in self.layout.parts

    def _divided(self, everything: Samples) -> dict[Part, Samples]:
        if everything.labels is not None:
            require_labels(self.layout.folder, everything.labels == NO_LABEL)
        train, test = stratified_split(everything, self.test_fraction, self.split_seed, "data.test_fraction")
        return {"train": train, "test": test}
