"""Lists of photographs to classify, perhaps with boxes."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.path_spelling import found_file
from datamodules.layouts.column_names import BOX, role_of
from datamodules.layouts.columns import Columns
from datamodules.layouts.csv_text import read_csv
from datamodules.layouts.table_file import Table, read_table
from datamodules.photographs.photograph_dataset import Photograph
from datamodules.reading.image_reader import Box, reason_of

_FARTHEST = 1e9  # pixels


def read_photograph_list(path: str, cropping: bool) -> Iterator[Photograph]:
    """Read a list: a column ``path`` or ``file``, perhaps ``x1,y1,x2,y2``, or a single column without a header.

    Args:
        path: A CSV, TSV, JSON Lines or Parquet file; the paths in it are relative to its folder.
        cropping: Whether boxes will be used, so that one which makes no sense is a reason against its photograph.

    Yields:
        The photographs in the order of the list. A list that can't be understood is yielded itself, with its reason,
        and so is a row.
    """
    try:
        rows = _text_rows(path) if path.lower().endswith((".csv", ".tsv")) else _table_rows(path)
        header = [name.strip() for name in rows[0][1]] if rows else []
        columns = Columns(Table(Path(path), dict.fromkeys(header, ()), ""))
    except (OSError, ValueError, csv.Error) as error:
        yield Photograph(path, reason=reason_of(error))
        return
    except MisconfigurationException as error:
        yield Photograph(path, reason=str(error))
        return
    if "path" in columns:
        column = header.index(columns.names["path"])
        del rows[0]
    else:
        header, column = [""], 0
    boxes = [header.index(name) for name in columns.boxes_named if header != [""]]
    if not rows:
        yield Photograph(path, reason="the list is empty")
    elif header == [""] and any(len(row) > 1 for _, row in rows):
        yield Photograph(path, reason="a list needs a column path or file, or has one column only")
    elif cropping and 0 < len(boxes) < len(BOX):
        yield Photograph(path, reason="a list with boxes needs all of the columns x1, y1, x2 and y2")
    else:
        for line, row in rows:
            yield _photograph(path, line, row, len(header), column, boxes, cropping)


def _text_rows(path: str) -> list[tuple[int, list[str]]]:
    return read_csv(Path(path), role_of).rows


def _table_rows(path: str) -> list[tuple[int, list[str]]]:
    """Convert a table of another kind to rows of text."""
    table = read_table(Path(path), role_of)
    columns = Columns(table.without_stored())
    if "path" not in columns and "path" in Columns(table):
        raise MisconfigurationException("it holds photographs, not paths: test it as data.root, or unpack it")
    columns.require("path")
    paths = columns.texts("path")
    boxes = [table.columns[name] for name in columns.boxes_named]
    cells = [["" if cell is None else str(cell) for cell in row] for row in zip(paths, *boxes, strict=True)]
    return [(0, [columns.names["path"], *columns.boxes_named]), *enumerate(cells, start=1)]


def _photograph(
    path: str, line: int, row: list[str], width: int, column: int, boxes: list[int], cropping: bool
) -> Photograph:
    if len(row) > width and not any(row[width:]):  # spreadsheets leave separators at the ends of lines
        row = row[:width]
    if len(row) != width or not row[column].strip():
        reason = f"cells: {len(row)}, columns: {width}" if len(row) != width else "no path here"
        return Photograph(f"{path}, line {line}", reason=reason)
    box = _box([row[index] for index in boxes]) if len(boxes) == len(BOX) else None
    reason = box if isinstance(box, str) and cropping else ""
    folder = str(Path(path).parent)
    file = found_file("" if folder == "." else folder, row[column])
    return Photograph(file, None if isinstance(box, str) else box, reason)


def _box(cells: list[str]) -> Box | str | None:
    """Read a box; none where its cells are empty, or why it is none."""
    if not any(cell.strip() for cell in cells):
        return None
    try:
        x1, y1, x2, y2 = (float(cell.replace(",", ".")) for cell in cells)
    except ValueError:
        return f"its box is no four numbers: {','.join(cells)}"
    if not all(math.isfinite(value) and abs(value) <= _FARTHEST for value in (x1, y1, x2, y2)):
        return f"its box is no part of a picture: {','.join(cells)}"
    return round(x1), round(y1), round(x2), round(y2)
