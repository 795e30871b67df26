"""Reading tables as people's programs write them: CSV in its varieties, JSON lines, Parquet."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from lightning.fabric.utilities.exceptions import MisconfigurationException
from pyarrow import parquet

from datamodules.layouts.stored_images import StoredImages, holds_images, stored_images
from datamodules.text_files import decode_text

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Table:
    """The content of a table.

    Attributes:
        path: The file.
        columns: Cells of each column, by the name in the header without blanks at its ends.
        format: How the file is written, for messages.
        numbers: Where each row begins in a text file, counting lines from 1.
        stored: The photographs that columns hold, by name.
    """

    path: Path
    columns: dict[str, Sequence[Any]]
    format: str
    numbers: Sequence[int] = ()
    stored: Mapping[str, StoredImages] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


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
        # names of files needn't be UTF-8
        base = path.parent
        text, encoding = decode_text(path.read_bytes(), lambda raw: _names_files(raw, base))
        table = _read_json_lines(path, text) if suffix == ".jsonl" else _read_csv(path, text, encoding, roles)
    except MisconfigurationException:
        raise
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise MisconfigurationException(f"Can't read the table {path}: {' '.join(str(reason).split())}.") from error
    return table


def _read_parquet(path: Path) -> Table:
    file = parquet.ParquetFile(path)
    schema = file.schema_arrow
    _require_unique(path, [name.strip() for name in schema.names], bool, "Parquet")
    class_names = _stored_class_names(schema)
    columns: dict[str, Sequence[Any]] = {}
    stored: dict[str, StoredImages] = {}
    for part in schema:
        name = part.name.strip()
        if holds_images(part.type):
            stored[name] = stored_images(path, part.name, _original_paths(file, part))
            columns[name] = stored[name].files.tolist()
        elif pa.types.is_nested(part.type):
            columns[name] = _Unusable(f"holds {part.type}", file.metadata.num_rows)
        else:
            cells = file.read([part.name]).column(0).to_pylist()
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
    """A column whose cells are no text and no numbers; using it raises an error."""

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


def _read_json_lines(path: Path, text: str) -> Table:
    rows: list[dict[str, Any]] = []
    numbers = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise MisconfigurationException(f"Can't read the table {path}: line {number} is no JSON object.") from error
        if not isinstance(row, dict):
            raise MisconfigurationException(f"Can't read the table {path}: line {number} is no JSON object.")
        rows.append({name.strip(): value for name, value in row.items()})
        numbers.append(number)
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(path, {name: [row.get(name) for row in rows] for name in names}, "JSON lines", numbers)


def _read_csv(path: Path, text: str, encoding: str, roles: Callable[[str], object]) -> Table:
    first, _, rest = text.partition("\n")
    given = first.strip().removeprefix("sep=") if first.startswith("sep=") else ""  # a line that Excel understands
    if len(given) == 1:
        text, separator = rest, given
    else:
        separator = max(_SEPARATORS, key=lambda sign: sum(bool(roles(name)) for name in _header(text, sign)))
        if not any(roles(name) for name in _header(text, separator)):
            separator = max(_SEPARATORS, key=lambda sign: len(_header(text, sign)))
    form = f"separated by {_SEPARATORS.get(separator, repr(separator))}, {encoding}"
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = [name.strip() for name in next(reader, [])]
    _require_unique(path, header, roles, form)
    rows, numbers = [], []
    before = reader.line_num
    for row in reader:
        if any(row):
            rows.append(row)
            numbers.append(before + 1 + bool(given))
        before = reader.line_num
    width = len(header)
    for number, row in zip(numbers, rows, strict=True):
        if not any(row[width:]):  # spreadsheets leave separators at the ends of lines
            del row[width:]
        if len(row) != width:
            raise MisconfigurationException(
                f"Can't read the table {path} ({form}): line {number} has {len(row)} cells, but there are {width} "
                "columns."
            )
    cells = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in header]
    return Table(path, dict(zip(header, cells, strict=True)), form, numbers)


def _header(text: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])]
    except csv.Error:
        return []


def _require_unique(path: Path, names: list[str], roles: Callable[[str], object], form: str) -> None:
    twice = next((name for name in names if names.count(name) > 1 and roles(name)), None)
    if twice is not None:
        raise MisconfigurationException(f"{path} ({form}) has the column {twice!r} twice: remove one of them.")


def _names_files(raw: str, base: Path) -> bool:
    """Tell whether a cell that is no UTF-8 names a file as it is in bytes."""
    line = next((line for line in raw.split("\n") if any("\udc80" <= sign <= "\udcff" for sign in line)), "")
    cells = [cell.strip(' "') for sign in _SEPARATORS for cell in line.rstrip("\r").split(sign)]
    return any(os.path.lexists(base / cell) for cell in cells if cell and "\0" not in cell)
