"""Reading tables as common programs write them: CSV in its varieties, JSON lines, Parquet."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from lightning.fabric.utilities.exceptions import MisconfigurationException
from pyarrow import parquet

from datamodules.files.text_files import decode_text
from datamodules.in_words import listed
from datamodules.layouts.csv_text import read_csv
from datamodules.layouts.stored_images import StoredImages, holds_images, is_binary, stored_images

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


@dataclass(frozen=True)
class Table:
    """The content of a table.

    Attributes:
        path: The file.
        columns: Cells of each column, by the name in the header without blanks at its ends.
        format: How the file is written, for messages.
        stored: The photographs that columns hold, by name.
        lines: The line that each row begins in, counting from 1; empty for Parquet.
    """

    path: Path
    columns: dict[str, Sequence[Any]]
    format: str
    stored: Mapping[str, StoredImages] = field(default_factory=dict)
    lines: Sequence[int] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def without_stored(self) -> "Table":
        """Return the table without the columns that hold photographs."""
        columns = {name: cells for name, cells in self.columns.items() if name not in self.stored}
        return Table(self.path, columns, self.format, lines=self.lines)


def read_table(path: Path, roles: Callable[[str], object]) -> Table:
    """Read a table, finding out how it is written.

    Args:
        path: A file with one of ``TABLE_SUFFIXES``.
        roles: Tells of a column's name whether it means something here; that separator is right which yields most such
            names.

    Returns:
        The table.

    Raises:
        MisconfigurationException: If it can't be read, or names a column twice that means something.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return _read_parquet(path)
        return _read_json_lines(path) if suffix == ".jsonl" else _read_csv(path, roles)
    except MisconfigurationException:
        raise
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise MisconfigurationException(f"Can't read the table {path}: {' '.join(str(reason).split())}.") from error


def _read_parquet(path: Path) -> Table:
    file = parquet.ParquetFile(path)
    schema = file.schema_arrow
    _require_unique(path, [name.strip() for name in schema.names], bool, "Parquet")
    class_names = _stored_class_names(schema)
    columns: dict[str, Sequence[Any]] = {}
    stored: dict[str, StoredImages] = {}
    for part in schema:
        name = part.name.strip()
        if holds_images(file, part):
            stored[name] = stored_images(path, part.name, _original_paths(file, part))
            columns[name] = stored[name].files.tolist()
        elif pa.types.is_nested(part.type):
            columns[name] = _Unusable(f"holds {part.type}", file.metadata.num_rows)
        else:
            cells = file.read([part.name]).column(0).to_pylist()
            if is_binary(part.type):  # text, as some programs write it
                cells = [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in cells]
            known = class_names.get(part.name, [])
            if known and all(cell is None or (isinstance(cell, int) and -1 <= cell < len(known)) for cell in cells):
                cells = [None if cell is None or cell < 0 else known[cell] for cell in cells]
            columns[name] = cells
    return Table(path, columns, "Parquet", stored=stored)


def _original_paths(file: parquet.ParquetFile, column: pa.Field) -> list[Any]:
    """Read what the photographs of a column were called, without reading the photographs."""
    if not pa.types.is_struct(column.type) or column.type.get_field_index("path") < 0:
        return [None] * file.metadata.num_rows
    return [row and row["path"] for row in file.read([f"{column.name}.path"]).column(0).to_pylist()]


class _Unusable(Sequence[Any]):
    """A column whose cells are neither text nor numbers; using it raises an error."""

    def __init__(self, reason: str, size: int) -> None:
        self.reason = reason
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        raise TypeError(self.reason)


def _stored_class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Read the names of classes that Hugging Face's data sets keep beside numbers for labels."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature["names"] for name, feature in features.items() if feature.get("names")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read_json_lines(path: Path) -> Table:
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(decode_text(path.read_bytes())[0].split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise MisconfigurationException(f"Can't read the table {path}: line {number} is no JSON object.") from error
        if not isinstance(row, dict):
            raise MisconfigurationException(f"Can't read the table {path}: line {number} is no JSON object.")
        rows.append({name.strip(): value for name, value in row.items()})
        lines.append(number)
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(path, {name: [row.get(name) for row in rows] for name in names}, "JSON lines", lines=lines)


def _read_csv(path: Path, roles: Callable[[str], object]) -> Table:
    form, rows = read_csv(path, roles)
    header = [name.strip() for name in rows[0][1]] if rows else []
    _require_unique(path, header, roles, form)
    width = len(header)
    uneven: list[tuple[int, list[str]]] = []
    for number, row in rows[1:]:
        if not any(row[width:]):  # spreadsheets leave separators at the ends of lines
            del row[width:]
        if len(row) != width:
            uneven.append((number, row))
    if uneven:
        number, row = uneven[0]
        others = [f"line {other}" for other, _ in uneven[1:]]
        more = f" (nor have {listed(others)})" if others else ""
        raise MisconfigurationException(
            f"Can't read the table {path} ({form}): line {number} has {len(row)} cell{'s' * (len(row) != 1)}, but "
            f"there are {width} columns{more}" + (": a quote isn't closed." if "\n" in "".join(row) else ".")
        )
    cells = [list(column) for column in zip(*(row for _, row in rows[1:]), strict=True)] or [[] for _ in header]
    return Table(path, dict(zip(header, cells, strict=True)), form, lines=[number for number, _ in rows[1:]])


def _require_unique(path: Path, names: list[str], roles: Callable[[str], object], form: str) -> None:
    twice = next((name for name in names if names.count(name) > 1 and roles(name)), None)
    if twice is not None:
        raise MisconfigurationException(f"{path} ({form}) has the column {twice!r} twice: remove one of them.")
