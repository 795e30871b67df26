"""Reads the columns of a table by what they mean."""

import hashlib
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.path_spelling import found_file
from datamodules.layouts.class_name import class_name, respelled
from datamodules.layouts.column_names import BOX, NAMES, Role, key_of, role_of
from datamodules.layouts.layout import Part
from datamodules.layouts.part_names import part_of
from datamodules.layouts.table_faults import TableFaults
from datamodules.layouts.table_file import Table
from datamodules.samples import NO_LABEL

_OF_WHOLE = re.compile(r"^([+-]?\d+)\.0+$")
_FARTHEST = 1e9  # pixels; beyond 2^63 a number would turn into another one


def _group_number(group: str) -> int:
    digest = hashlib.blake2b(group.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1  # never negative


class Columns:
    """A table's columns by what they mean.

    Args:
        table: The table.

    Attributes:
        table: The table.
        names: The column of each role that there is.
        boxes_named: The columns of boxes that there are.
        notes: What was inferred and may differ from the author's intent.
        faults: What is wrong in rows, to be said when all that is needed has been read.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.faults = TableFaults(table.path, table.lines)
        self.names: dict[Role, str] = {}
        self.notes: list[str] = []
        by_key: dict[str, str] = {}
        for name in table.columns:
            key = key_of(name)
            if key in by_key and role_of(name):
                raise MisconfigurationException(
                    f"{table.path} ({table.format}) has the column {key!r} twice, as {by_key[key]!r} and {name!r}: "
                    "remove one of them."
                )
            by_key[key] = name
        for role, names in NAMES.items():
            found = [by_key[name] for name in names if name in by_key]
            if role == "path":  # pictures that lie in the table go before what they were called elsewhere
                found.sort(key=lambda name: name not in table.stored)
            if found:
                self.names[role] = found[0]
            if found and len(found) > 1:
                self.notes.append(f"{table.path.name}: the {role} is taken from {found[0]!r}, not from {found[1]!r}.")
        self.boxes_named = [by_key[name] for name in BOX if name in by_key]
        usual = table.format in ("separated by commas, UTF-8", "Parquet", "JSON lines")
        if not usual or any(name != role for role, name in self.names.items()):
            columns = ", ".join(f"{role} from {name!r}" for role, name in self.names.items() if name != role)
            self.notes.insert(0, f"{table.path.name} is {table.format}" + (f": {columns}." if columns else "."))

    def __contains__(self, role: Role) -> bool:
        return role in self.names

    def require(self, *roles: Role) -> None:
        """Refuse a table that lacks columns.

        Args:
            *roles: What has to be there.

        Raises:
            MisconfigurationException: If something isn't, with what was found.
        """
        for role in roles:
            if role not in self.names:
                raise MisconfigurationException(
                    f"{self.table.path} can't be used: a list of photographs needs the columns path and label (or "
                    f"{', '.join(NAMES['path'][1:5])} ...; {', '.join(NAMES['label'][1:4])} ...), and it lacks {role}. "
                    f"Read as {self.table.format}, it has {', '.join(map(repr, self.table.columns)) or 'nothing'}. "
                    "Mend its first line, or move the file elsewhere if it isn't meant."
                )

    def texts(self, role: Role) -> list[str | None]:
        """Read a column as text.

        Args:
            role: What it means.

        Returns:
            A text for each row; None for an empty cell.

        Raises:
            MisconfigurationException: If a cell holds something else than text, a number or a truth value.
        """
        name = self.names[role]
        cells = self.table.columns[name]
        try:
            return [self._text(cell) for cell in cells]
        except TypeError as error:
            raise MisconfigurationException(
                f"The column {name!r} of {self.table.path} {error}: one {role} in each row is expected."
            ) from error

    @staticmethod
    def _text(cell: Any) -> str | None:
        if type(cell) is str:
            return cell
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            return None
        if isinstance(cell, bytes):
            return cell.decode()
        if isinstance(cell, list | dict | tuple):
            raise TypeError(f"holds {'lists' if isinstance(cell, list | tuple) else 'objects'}")
        return str(cell)

    def files(self, base: str) -> npt.NDArray[np.str_]:
        """Read the paths.

        Args:
            base: What they are relative to.

        Returns:
            Paths, shape (n,); a row without one is a fault.
        """
        names = self._required("path")
        folder = "" if base == "." else base
        return np.array([found_file(folder, name) for name in names], dtype=np.str_)

    def labels(self) -> list[str | None]:
        """Read the names of classes.

        Returns:
            A name for each row, without blanks at its ends, with accents composed; None where there is none.
        """
        if "label" not in self.names:
            return [None] * len(self.table)
        cells = self.texts("label")
        spelled = {cell: class_name(cell) for cell in {*cells} if cell is not None}
        self.notes += [f"{self.table.path.name}: {note}" for note in respelled(spelled)]
        blanks = sum(cell is not None and cell != cell.strip() for cell in cells)
        if blanks:
            self.notes.append(f"{self.table.path.name}: blanks around {blanks} labels are dropped.")
        return [None if cell is None else spelled[cell] or None for cell in cells]

    def splits(self) -> list[Part]:
        """Read the column ``split``.

        Returns:
            The part of each row; a row without one, or with another word, is a fault.
        """
        cells = self._required("split")
        parts = {cell: part_of(cell) for cell in {*cells}}
        for cell in sorted(cell for cell, part in parts.items() if part is None and cell.strip()):
            rows = [row for row, other in enumerate(cells) if other == cell]
            self.faults.add(f"the split {cell!r}", rows, "it has to be train, val or test")
        return [parts[cell] or "train" for cell in cells]

    def groups(self) -> npt.NDArray[np.int64] | None:
        """Number the groups by hashes of their names, so that a group has the same number in all tables.

        Returns:
            A number for each row, int64 of shape (n,), ``NO_LABEL`` for a row of its own; None without such a column.
        """
        if "group" not in self.names:
            return None
        # another table, or a row without a group, makes floats of the same numbers
        cells = [None if cell is None else _OF_WHOLE.sub(r"\1", cell.strip()) for cell in self.texts("group")]
        return np.array([_group_number(cell) if cell else NO_LABEL for cell in cells], dtype=np.int64)

    def boxes(self) -> npt.NDArray[np.int64] | None:
        """Read the boxes.

        Returns:
            Boxes (x1, y1, x2, y2), int64 of shape (n, 4); None if there are none. One that makes no sense is a fault.

        Raises:
            MisconfigurationException: If columns are missing.
        """
        path = self.table.path
        if not self.boxes_named:
            return None
        if len(self.boxes_named) < len(BOX):
            present = [key_of(name) for name in self.boxes_named]
            missing = next(name for name in BOX if name not in present)
            raise MisconfigurationException(f"{path} has {', '.join(self.boxes_named)}, but no column {missing}.")
        columns = [[_number(cell) for cell in self.table.columns[name]] for name in self.boxes_named]
        wrong = [row for row, values in enumerate(zip(*columns, strict=True)) if None in values]
        boxes = np.array(columns, dtype=np.float64).reshape(len(BOX), -1).T  # None becomes nan
        huge, incomplete = (np.abs(boxes) > _FARTHEST).any(axis=1), np.isnan(boxes).any(axis=1)
        self.faults.add("a box that is no number", wrong)
        self.faults.add("a box that no picture is large enough for", np.flatnonzero(huge))
        self.faults.add("an incomplete box", np.setdiff1d(np.flatnonzero(incomplete), wrong))
        return np.where(np.reshape(huge | incomplete, (-1, 1)), 0, boxes).round().astype(np.int64)

    def _required(self, role: Role) -> list[str]:
        cells = self.texts(role)
        self.faults.add(f"no {role}", (row for row, cell in enumerate(cells) if cell is None or not cell.strip()))
        return [cell or "" for cell in cells]


def _number(cell: Any) -> float | None:
    """Read a number, with a comma for a point as spreadsheets write it in much of Europe; nan for an empty cell."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return math.nan
    try:
        return float(cell.replace(",", ".") if isinstance(cell, str) else cell)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf
    except (ValueError, TypeError):
        return None
