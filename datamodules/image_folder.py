"""The user's own photographs, in any of the usual layouts."""

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info

from datamodules.account import MISSING, account_for, require_present, tell, tell_untrained
from datamodules.amending.amendments import Amendments
from datamodules.check_range import check_range
from datamodules.dividing.divider import Divider
from datamodules.dividing.folds import check_folds
from datamodules.dividing.recorded_division import TEST_FRACTION, compare_share, record_division
from datamodules.files.passed_over import PassedOver
from datamodules.image_data_module import ImageDataModule
from datamodules.layouts import ClassLevel, Layout, Part, recognise_layout, require_labels
from datamodules.loading_data_module import Split
from datamodules.remote.copied_folder import on_this_machine
from datamodules.samples import NO_LABEL, Samples, joined


class ImageFolderDataModule(ImageDataModule):
    """Photographs in class folders or listed in a table; the layout is recognised.

    - ``root/{train,val,test}/CLASS/*``; without ``val``, a part of ``train`` validates. Other usual names of the parts
      are understood, such as ``Training``, ``dev`` and ``eval``.
    - ``root/CLASS/*``: a part of each class becomes the test set, once; ``root/split.csv`` records it, and later runs
      follow that file. Where the evaluated network was trained on another ``root``, all images are evaluated instead.
    - A CSV, TSV, JSON Lines or Parquet file, or a folder with one, with the columns ``path,label`` and perhaps
      ``split`` (train, val or test), ``group`` (rows that no division may part) and ``x1,y1,x2,y2`` (a box in pixels
      counting from 0, x2 and y2 exclusive); or a folder with such tables for each part. Parquet may hold the
      photographs themselves.

    Every file below ``root`` is used, or counted under a reason, which is said in one line.

    Args:
        root: The folder, or the table. A stage needs only its own part of the data. Of object storage
            (``s3://bucket/folder``), a copy is kept in ``cache_dir``.
        val_fraction: Share of the training images that validates where there is no ``val``, equal in all classes; 0
            trains on all of them and validates nothing, once everything is chosen.
        test_fraction: Share of the images that is kept for testing where nothing is divided yet.
        split_seed: Seed of these divisions, apart from the run's own, so that runs with other seeds stay comparable.
        crop_to_box: Cut every image of every split out along its annotated box. Scores with and without are two
            different protocols; training on crops and testing on whole images cost ten points (morganmcg1, notebooks).
        box_margin: Share of the box's width and height kept around it on every side.
        exclude: Text file with the images or folders to leave out, one path a line, relative to the layout's folder;
            ``train.py check`` and ``train.py doubts`` propose one.
        corrected_labels: CSV with the columns ``path`` and ``label``, whose labels replace those of the data set; no
            division changes. ``train.py doubts`` proposes one.
        folds: Divide the images of training and validation in so many folds, equal in all classes, for a
            cross-validation; null validates on ``val`` or ``val_fraction``.
        fold: The fold that validates while the others train, counting from 0.
        keep_equal_together: Keep photographs that show the same picture in one part when dividing. Every photograph is
            looked at for that, once; null does so where there are 100,000 of them or fewer.
        class_folders: Which folders are classes, the ``outer`` ones or the innermost (``inner``, with names like
            ``Audi/A4``); null takes the outer ones if they hold photographs themselves.
        **options: Arguments of ``ImageDataModule``.
    """

    def __init__(
        self,
        root: str = "data/photos",
        val_fraction: float = 0.1,
        test_fraction: float = TEST_FRACTION,
        split_seed: int = 0,
        crop_to_box: bool = False,
        box_margin: float = 0.05,
        exclude: str | None = None,
        corrected_labels: str | None = None,
        folds: int | None = None,
        fold: int = 0,
        keep_equal_together: bool | None = None,
        class_folders: ClassLevel = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_range("box_margin", box_margin, 0, 10)
        check_folds(folds, fold)
        self.given, self.split_seed, self.folds, self.fold = root, split_seed, folds, fold
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.crop_to_box, self.box_margin, self.class_folders = crop_to_box, box_margin, class_folders
        self.exclude, self.corrected_labels, self.keep_equal_together = exclude, corrected_labels, keep_equal_together
        self._forget()

    @cached_property
    def root(self) -> Path:
        """The folder or the table on this machine; of object storage, the copy that is kept here."""
        return on_this_machine(self.given, self.cache_dir)

    @property
    def folder(self) -> Path:
        """Where the data set lies."""
        return self.root

    @cached_property
    def layout(self) -> Layout:
        """The data set as it was recognised."""
        return recognise_layout(self.folder, self.index_of is not None, self.class_folders)

    def relabel(self, index_of: Callable[[str], int | None], trained_elsewhere: bool = False) -> None:
        """Label images as a trained network does, and recognise the data set again; see ``ImageDataModule.relabel``."""
        super().relabel(index_of, trained_elsewhere)
        self._forget()

    def _forget(self) -> None:
        self.__dict__.pop("layout", None)
        self._parts: dict[Part, Samples] = {}
        self._splits: dict[Split, Samples] = {}
        self._division: dict[Part, Samples] | None = None
        self._amendments: Amendments | None = None

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, sorted unless the layout has an order of its own; two or more, unless relabelled."""
        layout, names = self.layout, self.layout.class_names
        if len(names) < 2 and self.index_of is None:
            found = f"{layout.folder} ({layout.kind}) has {f'only the class {names[0]!r}' if names else 'no class'}"
            raise MisconfigurationException(f"{found}, but it takes two to tell apart.")
        return names

    @property
    def crop_margin(self) -> float | None:
        """Margin of the boxes that pictures are cut out along; None leaves them whole."""
        return self.box_margin if self.crop_to_box else None

    @property
    def not_validated(self) -> str | None:
        """Why there are no validation images; None if there are."""
        divided = self.val_fraction != 0 or self.folds is not None
        return None if divided or self._has_val_part() else "data.val_fraction is 0"

    @property
    def has_test(self) -> bool:
        """Whether there is a test part, or what one is made of."""
        return not {"test", "all"}.isdisjoint(self.layout.parts)

    def prepare_data(self) -> None:
        """Say what isn't used, and record the division of a data set that had none, so that its test set stays."""
        if self.predicting:
            return
        layout = self.layout
        for stored in layout.stored:
            stored.write()
        for note in layout.notes:
            rank_zero_info(note)
        passed = self.account()
        listed = sum(samples.count_files() for samples in self._parts.values())
        require_present(passed, layout.folder, listed)
        tell(passed, self.folder, listed - passed.count(MISSING))
        if self.index_of is None:
            tell_untrained(self._parts, ("train", "val") if self.folds else ("train",), layout.class_names)
        if layout.split_file is not None and not self._is_whole():
            if not record_division(layout, self._divided(), self.root, self.given, self.cache_dir):
                self._forget()
        elif layout.divided_by is not None:
            compare_share(layout.divided_by, self._parts, self.test_fraction)

    def account(self) -> PassedOver:
        """Find out what isn't used of the files below ``root``.

        Returns:
            Files by reason.
        """
        listed = (file for samples in self._readable_parts() for file in samples.files.tolist())
        return account_for(self.folder, self.layout, listed)

    def samples(self, split: Split) -> Samples:
        """List one split.

        Args:
            split: The split; without a ``val`` part, train and val are the two parts of the training images.

        Returns:
            Its files, labels and, if there are any, boxes.

        Raises:
            MisconfigurationException: If files are missing or damaged, or boxes are needed that aren't there.
        """
        if split not in self._splits:
            self._splits |= self._read_split(split)
        samples = self._splits[split]
        if self.crop_to_box and samples.boxes is None:
            raise MisconfigurationException(
                f"data.crop_to_box needs boxes, but {self.layout.folder} ({self.layout.kind}) has none."
            )
        return self.amendments.apply(samples, training=split == "train")

    def read(self, part: Part) -> Samples:
        """List a part as the layout has it.

        Args:
            part: The part.

        Returns:
            Its samples, those that are to be excluded among them.
        """
        if part not in self._parts:
            self._parts[part] = self.layout.read(part)
        return self._parts[part]

    def _readable_parts(self) -> list[Samples]:
        """List all parts but those that can't be, which stop only the stages that need them."""
        found = []
        for part in self.layout.parts:
            with suppress(MisconfigurationException):
                found.append(self.read(part))
        return found

    def _read_split(self, split: Split) -> dict[Split, Samples]:
        """List a split, and what is divided along with it: a million files take their time."""
        parts = self.layout.parts
        if self._is_whole():
            number = len(self.amendments.apply(self.read("all"), training=False))
            verb = "tested" if split == "test" else "validated"
            rank_zero_info(f"{self.layout.folder} isn't divided: all {number} images are {verb}.")
            return {split: self.read("all")}
        if split == "test" or ("val" in parts and self.folds is None):
            return {split: self._divided()["test"] if "all" in parts else self.read(split)}
        samples = self._divided()["train"] if "all" in parts else self.read("train")
        if self.folds is not None:
            everything = joined([samples, self.read("val")]) if "val" in parts else samples
            train, val = self._divider().fold(everything, self.folds, self.fold)
        elif self.not_validated:
            train, val = samples, samples.take(np.arange(0))
        else:
            train, val = self._divider().in_two(samples, self.val_fraction, "data.val_fraction")
        return {"train": train, "val": val}

    @property
    def amendments(self) -> Amendments:
        """What ``exclude`` and ``corrected_labels`` say."""
        if self._amendments is None:
            listed = self.exclude or self.corrected_labels  # without which nothing needs to be read
            parts = self._readable_parts() if listed else []
            self._amendments = Amendments(self.layout, parts, self.exclude, self.corrected_labels)
        return self._amendments

    def _has_val_part(self) -> bool:
        return "val" in self.layout.parts

    def _is_whole(self) -> bool:
        return self.trained_elsewhere and "all" in self.layout.parts

    def _divided(self) -> dict[Part, Samples]:
        """Divide what isn't divided into training and test images, once."""
        if self._division is None:
            everything = self.read("all")
            if everything.labels is not None:
                require_labels(self.layout.folder, everything.files[everything.labels == NO_LABEL])
            train, test = self._divider().in_two(everything, self.test_fraction, "data.test_fraction")
            self._division = {"train": train, "test": test}
        return self._division

    def _divider(self) -> Divider:
        return Divider(self.layout, self.split_seed, self.keep_equal_together)
