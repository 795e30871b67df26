"""Which rows of a table train and which test, as a record beside it says."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.layouts.table_rows import Rows, open_table

_Key: TypeAlias = tuple[str, tuple[int, ...]]


def recorded_parts(record: Path, rows: Rows) -> npt.NDArray[np.str_]:
    """Find the part of each row of a table in a record of its division; labels and boxes stay those of the table.

    Args:
        record: The file that ``write_split`` has written for the table.
        rows: The rows of the table as it is now. What is new in it is said in their ``notes``.

    Returns:
        Parts, shape (n,). Rows that the record doesn't know train, so that the test set stays.

    Raises:
        MisconfigurationException: If the record can't be used.
    """
    columns = open_table(record)
    columns.require("path", "split")
    known = Rows(columns)
    parts = columns.splits()
    columns.faults.refuse()
    by_row = dict(zip(_keys(known), parts, strict=True))  # a photograph may be listed once for each of its boxes
    by_file = dict(zip(known.files.tolist(), parts, strict=True))
    found = [by_row.get(key) or by_file.get(file) for key, file in zip(_keys(rows), rows.files.tolist(), strict=True)]
    new = found.count(None)
    if new:
        rows.notes.append(
            f"{record.name}, which keeps the test set, lacks {new} of the {len(found)} rows of {rows.path.name}: they "
            "train. Delete it to divide all rows anew."
        )
    return np.array([part or "train" for part in found], dtype=np.str_)


def _keys(rows: Rows) -> Iterator[_Key]:
    boxes: Iterable[list[int]] = [[]] * len(rows.files) if rows.boxes is None else rows.boxes.tolist()
    return ((file, tuple(box)) for file, box in zip(rows.files.tolist(), boxes, strict=True))
