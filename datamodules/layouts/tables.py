"""Lists of files: one table, or one for each part."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.folder_entries import unlistable
from datamodules.in_words import listed
from datamodules.layouts.columns import Columns
from datamodules.layouts.gone_files import gone_from_folders, vanished_classes
from datamodules.layouts.layout import SPLIT_FILE, Layout, Part
from datamodules.layouts.part_names import PARTS, part_of
from datamodules.layouts.recorded_parts import recorded_parts
from datamodules.layouts.table_file import SPREADSHEETS, TABLE_SUFFIXES
from datamodules.layouts.table_rows import LABELS_NEEDED, Rows, open_table, part_layout, require_labels
from datamodules.samples import NO_LABEL, Samples

_RECORD = ".split.csv"  # cars.split.csv divides what cars.csv lists
# Kaggle's copies of Stanford Cars in class folders have these beside them, without headers.
_IGNORED = frozenset({"names.csv", "anno_train.csv", "anno_test.csv"})


def recognise_table(place: Path, evaluation: bool = False) -> Layout | None:
    """Recognise a table, or a folder that holds ``split.csv`` or else one table, or one for each part.

    Args:
        place: A file or a folder.
        evaluation: Whether rows may have no label though the table has no split.

    Returns:
        The layout with the parts that the column ``split``, the tables' names or the folders in the paths tell, or
        ``all`` without them; None if this is something else. Paths are relative to the table's folder; boxes count
        pixels from 0, x2 and y2 are exclusive.

    Raises:
        MisconfigurationException: If there is a table that can't be used.
    """
    if place.is_dir():
        tables = list_tables(place)
        if not tables:
            return None
        if (place / SPLIT_FILE) in tables:
            tables = [place / SPLIT_FILE]
        else:
            tables = [path for path in tables if not _is_record(path)] or tables
        if len(tables) > 1:
            return _several(place, tables)
        place = tables[0]
    elif not place.is_file():
        return None
    return _single(place, evaluation)


def list_tables(folder: Path) -> list[Path]:
    """List the tables of a folder.

    Args:
        folder: The folder.

    Returns:
        Paths, sorted, those of spreadsheets among them.

    Raises:
        MisconfigurationException: If the folder can't be listed.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise unlistable(folder, error) from error
    return [
        path
        for path in entries
        if path.suffix.lower() in (*TABLE_SUFFIXES, *SPREADSHEETS)
        and path.name[0] not in ".~"
        and path.name not in _IGNORED
        and path.is_file()
    ]


def _is_record(path: Path) -> bool:
    return path.name.endswith(_RECORD)


def _several(folder: Path, tables: list[Path]) -> Layout:
    parts: dict[Part, list[Path]] = {}
    for path in tables:
        part = part_of(path.stem)
        if part is None:
            open_table(path).require("path", "label")
            raise MisconfigurationException(
                f"{folder} has several tables, {_named(tables)}: give one of them as data.root, or call them "
                "train.csv, val.csv and test.csv if they are the parts."
            )
        parts.setdefault(part, []).append(path)
    for part, paths in parts.items():
        if len(paths) > 1 and not all("-of-" in path.stem for path in paths):
            raise MisconfigurationException(
                f"{folder} has {_named(paths)}, which all mean the {part} part: rename or remove all but one of them."
            )
    if "train" not in parts and len(parts) < len(tables):
        raise MisconfigurationException(f"{folder} has {_named(tables)}, but no table of the train part.")
    return part_layout(parts, folder, "tables")


def _named(paths: Sequence[Path]) -> str:
    return listed([path.name for path in paths])


def _single(path: Path, evaluation: bool) -> Layout:
    columns = open_table(path)
    columns.require("path", "label")
    rows = Rows(columns)
    if not len(rows.files):
        raise MisconfigurationException(f"{path} lists no photographs: it has its first line, and no row after it.")
    missing = rows.missing()
    record = path.with_suffix(_RECORD)
    split = _splits(path, columns, rows)
    if split is None and not evaluation and not record.is_file():
        columns.faults.add("no label", np.flatnonzero(missing), LABELS_NEEDED)
    columns.faults.refuse()
    folders_divided = split is not None and path.name == SPLIT_FILE
    gone = gone_from_folders(rows) if folders_divided else np.zeros(len(rows.files), dtype=bool)
    vanished = vanished_classes(rows, gone) if gone.any() else []
    names = sorted({label for label in rows.labels if label is not None} - {*vanished})
    samples = rows.samples({name: number for number, name in enumerate(names)} | dict.fromkeys(vanished, NO_LABEL))
    recorded = split is None and record.is_file()
    if recorded:
        split = recorded_parts(record, rows)
    whole = Layout(
        "table without a split",
        path,
        names,
        {"all": lambda: samples},
        split_file=record,
        own_files=(path, record) if recorded else (path,),
        notes=tuple(dict.fromkeys([*rows.notes, *_note_vanished(path, vanished)])),
        stored=(rows.stored,) if rows.stored else (),
    )
    if split is None:
        return whole
    split = np.where(gone, "", split)

    def read(part: Part) -> Samples:
        if part == "train":
            require_labels(path, rows.files[missing & (split == part)])
        return samples.take(np.flatnonzero(split == part))

    parts = {part: partial(read, part) for part in PARTS if part in split}
    divided_by = record if recorded else path if _is_record(path) or path.name == SPLIT_FILE else None
    left_out = tuple(rows.files[gone].tolist())
    return replace(whole, kind="table", parts=parts, split_file=None, divided_by=divided_by, gone=left_out)


def _note_vanished(path: Path, vanished: Sequence[str]) -> list[str]:
    if not vanished:
        return []
    named = listed([repr(name) for name in vanished])
    return [f"{path} records photographs of {named}, all of which are gone: the classes are left out."]


def _splits(path: Path, columns: Columns, rows: Rows) -> npt.NDArray[np.str_] | None:
    """Find the part of each row: from the column, or from the folders that its files are in."""
    if "split" in columns:
        return np.array(columns.splits(), dtype=np.str_)
    if rows.stored or not len(rows.files):
        return None
    base = "" if str(path.parent) == "." else f"{path.parent}/"
    folders = [file[len(base) :].partition("/")[0] if file.startswith(base) else "" for file in rows.files.tolist()]
    part_by_folder = {folder: part_of(folder) for folder in {*folders}}
    if None in part_by_folder.values() or "train" not in part_by_folder.values() or len(part_by_folder) < 2:
        return None
    named = ", ".join(sorted(part_by_folder))
    rows.notes.append(f"{path.name} has no column split: the folders {named} are the parts.")
    return np.array([part_by_folder[folder] for folder in folders], dtype=np.str_)
