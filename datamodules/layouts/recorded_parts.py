"""Which rows of a table train and which test, as a record beside it says."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.layouts.table_rows import Rows, open_table
from datamodules.samples import NO_LABEL

_Key: TypeAlias = tuple[str, tuple[int, ...]]


def recorded_parts(record: Path, rows: Rows) -> npt.NDArray[np.str_]:
    """Find the part of each row of a table in a record of its division; labels and boxes stay those of the table.

    Args:
        record: The file that ``write_split`` has written for the table.
        rows: The rows of the table as it is now. What has changed in it is said in their ``notes``.

    Returns:
        Parts, shape (n,). Rows that the record doesn't know train, so that the test set stays, unless their group is in
        another part.

    Raises:
        MisconfigurationException: If the record can't be used, or none of its test photographs is in the table.
    """
    columns = open_table(record)
    columns.require("path", "split")
    known = Rows(columns)
    parts = columns.splits()
    columns.faults.refuse()
    before = [*_keys(known)]
    by_row = dict(zip(before, parts, strict=True))  # a photograph may be listed once for each of its boxes
    by_file = {file: part for (file, _), part in by_row.items()}
    keys = [*_keys(rows)]
    found = [by_row.get(key) or by_file.get(key[0]) for key in keys]
    if "test" in parts and "test" not in found:
        raise MisconfigurationException(
            f"{rows.path} lists none of the test photographs that {record} records: move {record.name} away to divide "
            "the table anew, or list them again."
        )
    groups = [NO_LABEL] * len(found) if rows.groups is None else rows.groups.tolist()
    by_group = {group: part for group, part in zip(groups, found, strict=True) if group != NO_LABEL and part}
    labels = dict(zip(before, known.labels, strict=True))
    changed = sum(key in labels and labels[key] != label for key, label in zip(keys, rows.labels, strict=True))
    _note_changes(record, rows, found.count(None), len(by_file.keys() - {file for file, _ in keys}), changed)
    return np.array([part or by_group.get(group, "train") for part, group in zip(found, groups, strict=True)])


def _note_changes(record: Path, rows: Rows, new: int, gone: int, changed: int) -> None:
    told = [
        *([f"{new} of its {len(rows.files)} rows are new and train"] if new else []),
        *([f"{gone} photographs are gone from it"] if gone else []),
        *([f"{changed} labels are other ones, which count"] if changed else []),
    ]
    if told:
        rows.notes.append(
            f"{rows.path.name} has changed since {record.name}, which keeps the test set, was written: "
            f"{', '.join(told)}. Move that file away to divide all rows anew."
        )


def _keys(rows: Rows) -> Iterator[_Key]:
    """Name each row by its photograph, wherever the table was named from, and its box."""
    boxes: Iterable[list[int]] = [[]] * len(rows.files) if rows.boxes is None else rows.boxes.tolist()
    return ((os.path.abspath(file), tuple(box)) for file, box in zip(rows.files.tolist(), boxes, strict=True))  # noqa: PTH100
