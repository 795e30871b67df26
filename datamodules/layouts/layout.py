"""The common description of all layouts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.passed_over import PassedOver
from datamodules.layouts.stored_images import StoredImages
from datamodules.samples import NO_LABEL, Samples

Part: TypeAlias = Literal["train", "val", "test", "all"]

# Which folders are classes: the outer ones, the innermost, or, if None, those that hold photographs.
ClassLevel: TypeAlias = Literal["outer", "inner"] | None

SPLIT_FILE = "split.csv"  # records the division of class folders that had none


@dataclass(frozen=True)
class Layout:
    """A data set as it was found on disk.

    Attributes:
        kind: What the layout is called.
        folder: The folder or the table it was found in.
        class_names: Names of the classes; a label is a position in this list.
        parts: Reads a part; ``all`` stands alone, where nothing is divided yet.
        image_folders: Where the photographs of each part lie, as far as the layout says so.
        annotations: The files that labels come from, by part.
        split_file: Where to record the division into parts, if there is only ``all``.
        divided_by: The file that records the division of what had none; None if the data set came with its parts.
        gone: Files that a record of class folders still lists; they are in no part.
        own_files: Files of the data set that aren't photographs, as far as they aren't in ``annotations``.
        notes: What was inferred and may differ from the author's intent, in sentences.
        stored: Photographs that lie in tables, to be unpacked before they are read.
        searched: Folders all of whose photographs are listed, so that they needn't be searched for others.
        passed: What was passed over in them, by part, as soon as a part has been read.
    """

    kind: str
    folder: Path
    class_names: list[str]
    parts: Mapping[Part, Callable[[], Samples]]
    image_folders: tuple[Path, ...] = ()
    annotations: Mapping[Part, Path] | None = None
    split_file: Path | None = None
    divided_by: Path | None = None
    gone: tuple[str, ...] = ()
    own_files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    stored: tuple[StoredImages, ...] = ()
    searched: tuple[Path, ...] = ()
    passed: dict[Part, PassedOver] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        """The folder that paths are relative to."""
        return self.folder if self.folder.is_dir() else self.folder.parent

    def read(self, part: Part) -> Samples:
        """List the samples of a part.

        Args:
            part: The part.

        Returns:
            Its samples.

        Raises:
            MisconfigurationException: If there is no such part, or its files are missing or damaged.
        """
        if part not in self.parts:
            raise MisconfigurationException(
                f"{self.folder} ({self.kind}) has no {part} part, only {', '.join(self.parts)}."
                + (" The command validate scores validation images." if part == "test" else "")
            )
        return self.parts[part]()

    def with_classes(self, class_names: list[str], index_of: dict[str, int]) -> "Layout":
        """Translate the labels to another list of classes.

        Args:
            class_names: The other list.
            index_of: Position in it of each of the layout's own classes.

        Returns:
            The layout with those classes.
        """
        # the last entry is that of samples without a label, whose index is -1
        translation = np.array([*(index_of[name] for name in self.class_names), NO_LABEL], dtype=np.int64)

        def translated(read: Callable[[], Samples]) -> Callable[[], Samples]:
            def translate() -> Samples:
                samples = read()
                return replace(samples, labels=None if samples.labels is None else translation[samples.labels])

            return translate

        return replace(
            self, class_names=class_names, parts={part: translated(read) for part, read in self.parts.items()}
        )
