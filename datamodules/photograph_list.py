"""CSV lists of photographs to classify, perhaps with boxes."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from datamodules.image_reader import Box, reason_of
from datamodules.photograph_dataset import Photograph

_NAMES = ("path", "file")
_BOX = ("x1", "y1", "x2", "y2")
_FARTHEST = 1e9  # pixels


def read_photograph_list(path: str, cropping: bool) -> Iterator[Photograph]:
    """Read a list: a column ``path`` or ``file``, perhaps ``x1,y1,x2,y2``, or a single column without a header.

    Args:
        path: The CSV file; the paths in it are relative to its folder.
        cropping: Whether boxes will be used, so that one which makes no sense is a reason against its photograph.

    Yields:
        The photographs in the order of the list. A list that can't be understood is yielded itself, with its reason,
        and so is a row.
    """
    try:
        # names of files needn't be UTF-8
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if any(row)]
    except (OSError, csv.Error) as error:
        yield Photograph(path, reason=reason_of(error))
        return
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    column = next((header.index(name) for name in _NAMES if name in header), None)
    if column is None:
        header, column = [""], 0
    else:
        del rows[0]
    boxes = [header.index(name) for name in _BOX if name in header]
    if not rows:
        yield Photograph(path, reason="the list is empty")
    elif header == [""] and any(len(row) > 1 for _, row in rows):
        yield Photograph(path, reason="a list needs a column path or file, or has one column only")
    elif cropping and 0 < len(boxes) < len(_BOX):
        yield Photograph(path, reason="a list with boxes needs all of the columns x1, y1, x2 and y2")
    else:
        for line, row in rows:
            if len(row) != len(header) or not row[column]:
                reason = f"cells: {len(row)}, columns: {len(header)}" if len(row) != len(header) else "no path here"
                yield Photograph(f"{path}, line {line}", reason=reason)
                continue
            box = _box([row[index] for index in boxes]) if len(boxes) == len(_BOX) else None
            reason = box if isinstance(box, str) and cropping else ""
            yield Photograph(str(Path(path).parent / row[column]), None if isinstance(box, str) else box, reason)


def _box(cells: list[str]) -> Box | str | None:
    """Read a box; none where its cells are empty, or why it is none."""
    if not any(cell.strip() for cell in cells):
        return None
    try:
        x1, y1, x2, y2 = (float(cell) for cell in cells)
    except ValueError:
        return f"its box is no four numbers: {','.join(cells)}"
    if not all(math.isfinite(value) and abs(value) <= _FARTHEST for value in (x1, y1, x2, y2)):
        return f"its box is no part of a picture: {','.join(cells)}"
    return round(x1), round(y1), round(x2), round(y2)
