"""Lists of files: CSV or Parquet with ``path,label[,split][,x1,y1,x2,y2]``."""

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lightning.fabric.utilities.exceptions import MisconfigurationException
from pyarrow import csv, parquet

from datamodules.layouts.layout import SPLIT_FILE, Layout, Part
from datamodules.samples import NO_LABEL, Samples

_RECORD = ".split.csv"  # cars.split.csv divides what cars.csv lists
_FARTHEST = 1e9  # pixels; beyond 2^63 a number would turn into another one
_BOX = ("x1", "y1", "x2", "y2")
_PARTS: dict[str, Part] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def recognise_table(place: Path, evaluation: bool = False) -> Layout | None:
    """Recognise a table, or a folder that holds ``split.csv`` or else one table.

    Args:
        place: A file or a folder.
        evaluation: Whether rows may have no label though the table has no split.

    Returns:
        The layout with the parts that the column ``split`` names, or ``all`` without it; None if this is something
        else. Paths are relative to the table's folder; boxes count pixels from 0, x2 and y2 are exclusive.
    """
    if place.is_dir():
        found = [path for path in sorted(place.iterdir()) if path.suffix in (".csv", ".parquet") and _is_table(path)]
        tables = [path for path in found if path.name == SPLIT_FILE] or [path for path in found if not _is_record(path)]
        if len(tables) != 1:
            return None
        place = tables[0]
    elif not place.is_file():
        return None
    elif not _is_table(place):
        raise MisconfigurationException(f"{place} is no CSV or Parquet file with the columns path and label.")
    record = place.with_suffix(_RECORD)
    return _layout(record if not _is_record(place) and record.is_file() else place, evaluation)


def write_split(path: Path, folder: Path, parts: dict[Part, Samples], class_names: list[str]) -> None:
    """Write down which file belongs to which part, whole or not at all.

    Args:
        path: The CSV file.
        folder: What its paths are relative to.
        parts: Samples by part.
        class_names: Names of the classes.
    """
    files = np.concatenate([samples.files for samples in parts.values()])
    labels = np.concatenate([samples.labels for samples in parts.values() if samples.labels is not None])
    columns: dict[str, list[str]] = {
        "path": [str(file).removeprefix(f"{folder}/") for file in files],
        "label": ["" if label == NO_LABEL else class_names[label] for label in labels],
        "split": [part for part, samples in parts.items() for _ in range(len(samples))],
    }
    boxes = [samples.boxes for samples in parts.values() if samples.boxes is not None]
    table = pa.table(columns)
    if boxes:
        for name, column in zip(_BOX, np.concatenate(boxes).T, strict=True):
            table = table.append_column(name, pa.array(column))
    draft = path.with_name(f".{path.name}")
    csv.write_csv(table, draft)
    draft.replace(path)


def _is_record(path: Path) -> bool:
    return path.name.endswith(_RECORD)


def _is_table(path: Path) -> bool:
    try:
        if path.suffix == ".parquet":
            names = set(parquet.read_schema(path).names)
        else:
            with path.open(encoding="utf-8") as file:
                names = {name.strip(' "') for name in file.readline().rstrip("\n").split(",")}
    except (OSError, UnicodeDecodeError, pa.ArrowException):
        return False
    return {"path", "label"} <= names


def _layout(path: Path, evaluation: bool) -> Layout:
    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            texts = csv.ConvertOptions(
                column_types={name: pa.string() for name in ("path", "label", "split")},
                strings_can_be_null=True,
                null_values=[""],  # a class may be called NA or null
            )
            lines = csv.ParseOptions(newlines_in_values=True)
            table = csv.read_csv(path, parse_options=lines, convert_options=texts)
        columns = {name: table[name].to_numpy() for name in table.column_names if name in ("path", "split")}
        names, labels = _labels(table["label"])
    except (OSError, pa.ArrowException) as error:
        raise MisconfigurationException(f"Can't read the table {path}: {' '.join(str(error).split())}.") from error
    for name, column in columns.items():
        empty = np.flatnonzero([value is None or value != value for value in column])
        if len(empty):
            raise MisconfigurationException(f"{path} has no {name} in row {empty[0] + 1}.")
    files = np.array([str(path.parent / str(name)) for name in columns["path"]], dtype=np.str_)
    samples = Samples(files, labels, _boxes(path, table))
    if "split" not in columns:
        if not evaluation:
            require_labels(path, labels == NO_LABEL)
        split_file = path.with_suffix(_RECORD)
        return Layout("table without a split", path, names, {"all": lambda: samples}, split_file=split_file)
    unknown = sorted(set(columns["split"]) - set(_PARTS))
    if unknown:
        raise MisconfigurationException(f"{path} has the split {unknown[0]!r}: it has to be train, val or test.")
    split = np.array([_PARTS[name] for name in columns["split"]])

    def read(part: Part) -> Samples:
        if part == "train":
            require_labels(path, (labels == NO_LABEL) & (split == part))
        return samples.take(np.flatnonzero(split == part))

    parts: list[Part] = ["train", "val", "test"]
    return Layout("table", path, names, {part: partial(read, part) for part in parts if part in split})


def _labels(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Number the classes in the order of their names; an empty cell is no class."""
    # as Python's values where some are absent: NumPy has no integers without a value
    values = np.array(column.to_pylist() if column.null_count else column.to_numpy(), dtype=object)
    given = np.array([value is not None and value == value and value != "" for value in values], dtype=bool)
    class_names, indices = np.unique(values[given].astype(np.str_), return_inverse=True)
    labels = np.full(len(values), NO_LABEL, dtype=np.int64)
    labels[given] = indices
    return [str(name) for name in class_names], labels


def require_labels(path: Path, missing: npt.NDArray[np.bool_]) -> None:
    """Refuse rows without a label.

    Args:
        path: The table.
        missing: Which of its rows need a label and have none, bool of shape (n,).

    Raises:
        MisconfigurationException: If there are such rows.
    """
    if missing.any():
        raise MisconfigurationException(
            f"{path} has no label in row {np.flatnonzero(missing)[0] + 1}: only rows whose split is val or test may "
            "do without."
        )


def _boxes(path: Path, table: pa.Table) -> npt.NDArray[np.int64] | None:
    present = [name for name in _BOX if name in table.column_names]
    if not present:
        return None
    if len(present) < len(_BOX):
        missing = next(name for name in _BOX if name not in present)
        raise MisconfigurationException(f"{path} has {', '.join(present)}, but no column {missing}.")
    try:
        columns = [table[name].cast(pa.float64()).to_numpy() for name in _BOX]
    except pa.ArrowException as error:
        raise MisconfigurationException(
            f"{path} has a box that is no number: {' '.join(str(error).split())}."
        ) from error
    boxes = np.stack(columns, axis=1)
    if (np.abs(boxes) > _FARTHEST).any():
        row = np.argwhere(np.abs(boxes) > _FARTHEST)[0][0]
        raise MisconfigurationException(f"{path} has a box in row {row + 1} that no picture is large enough for.")
    if not np.isfinite(boxes).all():
        raise MisconfigurationException(
            f"{path} has an incomplete box in row {np.argwhere(~np.isfinite(boxes))[0][0] + 1}."
        )
    return np.round(boxes).astype(np.int64)
