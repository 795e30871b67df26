"""Tables as lists of samples."""

import os
import re
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.in_words import listed
from datamodules.layouts.column_names import role_of
from datamodules.layouts.columns import Columns
from datamodules.layouts.layout import Layout, Part
from datamodules.layouts.part_names import PARTS
from datamodules.layouts.table_file import SPREADSHEETS, TABLE_SUFFIXES, read_table
from datamodules.samples import NO_LABEL, Samples, joined


def open_table(path: Path) -> Columns:
    """Read a table and find out what its columns mean.

    Args:
        path: The file.

    Returns:
        Its columns.

    Raises:
        MisconfigurationException: If it can't be read, or is of another kind.
    """
    if path.suffix.lower() in SPREADSHEETS:
        raise MisconfigurationException(f"{path} is a spreadsheet, which can't be read: save it as CSV.")
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise MisconfigurationException(
            f"{path} is no list with the columns path and label: it has to be a CSV, TSV, JSON Lines or Parquet file "
            f"({', '.join(TABLE_SUFFIXES)})."
        )
    return Columns(read_table(path, role_of))


_INTEGRAL = re.compile(r"-?\d+\.0+")
LABELS_NEEDED = "only rows whose split is val or test may do without"


class Rows:
    """What a table says of its rows.

    Args:
        columns: The table.

    Attributes:
        path: The table's file.
        files: Paths, shape (n,).
        labels: The class of each, None where there is none.
        boxes: Boxes (x1, y1, x2, y2), int64 of shape (n, 4); None if there are none.
        groups: Numbers of the groups, int64 of shape (n,); None if there are none.
        notes: What was found out about the table.
        stored: The photographs, if they lie in the table.
    """

    def __init__(self, columns: Columns) -> None:
        self.path = columns.table.path
        self.stored = columns.table.stored.get(columns.names["path"])
        self.files = self.stored.files if self.stored else columns.files(str(self.path.parent))
        self.labels = columns.labels()
        self.boxes = columns.boxes()
        self.groups = columns.groups()
        self.notes = columns.notes

    def samples(self, index: dict[str, int]) -> Samples:
        """Number the labels.

        Args:
            index: The number of each class.

        Returns:
            The samples.
        """
        labels = np.array([NO_LABEL if label is None else index[label] for label in self.labels], dtype=np.int64)
        return Samples(self.files, labels, self.boxes, self.groups)

    def missing(self) -> npt.NDArray[np.bool_]:
        """Find which rows have no label, bool of shape (n,)."""
        return np.array([label is None for label in self.labels], dtype=bool)


def part_layout(tables: dict[Part, list[Path]], folder: Path, kind: str) -> Layout:
    """Read tables that are the parts of a data set.

    Args:
        tables: The tables of each part.
        folder: The folder that the layout is found in.
        kind: What the layout is called.

    Returns:
        The layout, its classes sorted by name.

    Raises:
        MisconfigurationException: If a table can't be used.
    """
    columns = {part: [open_table(path) for path in paths] for part, paths in tables.items()}
    lists: dict[Part, list[Rows]] = {}
    for part, found in columns.items():
        for one in found:
            one.require("path")
            if part == "train":
                one.require("label")
        lists[part] = [Rows(one) for one in found]
        for one in found:
            one.faults.refuse()
    every = [one for found in lists.values() for one in found]
    _read_as_integers(every)
    names = sorted({label for one in every for label in one.labels if label is not None})
    index = {name: number for number, name in enumerate(names)}

    def read(part: Part) -> Samples:
        found = [one.samples(index) for one in lists[part]]
        if part == "train":
            for one in lists[part]:
                require_labels(one.path, one.files[one.missing()])
        return joined(found)

    return Layout(
        kind,
        folder,
        names,
        {part: partial(read, part) for part in PARTS if part in lists},
        own_files=tuple(chain.from_iterable(tables.values())),
        notes=tuple(dict.fromkeys(note for one in every for note in one.notes)),
        stored=tuple(one.stored for one in every if one.stored),
    )


def _read_as_integers(tables: list[Rows]) -> None:
    """Drop the points of labels such as 3.0, which pandas writes of 3 where a cell is empty, if other tables have 3."""
    plain = {label for one in tables for label in one.labels if label is not None and "." not in label}
    for one in tables:
        whole = {label: label.partition(".")[0] for label in {*one.labels} if label is not None}
        if all(map(_INTEGRAL.fullmatch, whole)) and not plain.isdisjoint(whole.values()):
            one.labels = [None if label is None else whole[label] for label in one.labels]
            example = min(whole)
            one.notes.append(f"{one.path.name}: labels such as {example} are read as {whole[example]}, as elsewhere.")


def require_labels(path: Path, missing: npt.NDArray[np.str_]) -> None:
    """Refuse photographs without a label.

    Args:
        path: The table.
        missing: Those of its files that need a label and have none, shape (n,).

    Raises:
        MisconfigurationException: If there are such.
    """
    if len(missing):
        names = listed([os.path.relpath(file, path.parent) for file in missing.tolist()])
        raise MisconfigurationException(f"{path} has no label for {names}: {LABELS_NEEDED}.")
