"""Recognises the layout of a data set."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.ignored_names import reason_by_name
from datamodules.layouts.class_folders import recognise_divided, recognise_undivided
from datamodules.layouts.devkit import recognise_combined, recognise_devkit
from datamodules.layouts.layout import ClassLevel, Layout
from datamodules.layouts.tables import recognise_table

# Folders that archives and download sites put around a data set.
_WRAPPERS = ("stanford_cars", "stanford-cars", "car_data")
_MAX_DEPTH = 4

LOOKED_FOR = (
    "cars_train/ and cars_test/ with the devkit's .mat files; car_ims/ with cars_annos.mat; a CSV, TSV, JSON Lines or "
    "Parquet file with the columns path, label and perhaps split, x1, y1, x2, y2, or one each for train, val and test; "
    "train/CLASS/ and test/CLASS/; CLASS/ with photographs"
)


def recognise_layout(root: Path, evaluation: bool = False, level: ClassLevel = None) -> Layout:
    """Recognise a data set in a folder, in the folders that archives put around one, or in a table.

    Tables go before folders: where labels stand in a table, folders are something else, such as cameras or days.

    Args:
        root: A folder, or a table.
        evaluation: Whether classes come from a checkpoint: then one folder of photographs is enough, parts may have
            classes that others lack, and rows of a table that isn't divided may have no label.
        level: Which folders are classes; None takes the outer ones if they hold photographs, else the innermost.

    Returns:
        The first layout that fits.

    Raises:
        MisconfigurationException: If there is nothing, or nothing that fits, with what was looked for and found; or if
            a table can't be used.
    """
    if not root.exists():
        raise MisconfigurationException(
            f"data.root is {root}, which doesn't exist: give the folder of a data set, or a table."
        )
    undivided = partial(recognise_undivided, evaluation=evaluation)
    passes: list[tuple[Callable[[Path], Layout | None], ...]] = [
        (
            recognise_devkit,
            recognise_combined,
            partial(recognise_table, evaluation=evaluation),
            partial(recognise_divided, evaluation=evaluation, level=level),
            partial(undivided, level=level or "outer"),
        )
    ]
    if level is None:  # after all folders around a data set have been looked into
        passes.append((partial(undivided, level="inner"),))
    if evaluation:  # last, as a folder around a data set may hold a photograph too
        passes.append((partial(undivided, fewest=1),))
    for recognisers in passes:
        for place in places(root):
            for recognise in recognisers:
                layout = recognise(place)
                if layout is not None:
                    return layout
    raise MisconfigurationException(
        f"data.root is {root}, where no data set was recognised. Looked for: {LOOKED_FOR}. Found: {_describe(root)}."
    )


def places(place: Path, depth: int = _MAX_DEPTH) -> Iterator[Path]:
    """Look into the folders that archives and download sites put around a data set.

    Args:
        place: A folder, or a table.
        depth: How many of them to enter.

    Yields:
        The folder, and those inside in which the data set may lie.
    """
    yield place
    if not depth or not place.is_dir():
        return
    inner = [place / name for name in _WRAPPERS if (place / name).is_dir()]
    if not inner:
        folders = [path for path in sorted(place.iterdir()) if path.is_dir() and not reason_by_name(path.name)]
        inner = folders if len(folders) == 1 else []
    for path in inner:
        yield from places(path, depth - 1)


def _describe(root: Path) -> str:
    with os.scandir(root) as entries:
        found = sorted(entry.name + "/" * entry.is_dir() for entry in entries)
    if not found:
        return "an empty folder"
    return ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
