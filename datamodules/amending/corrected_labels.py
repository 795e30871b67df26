"""Labels that replace those of a data set, whose files stay as they are."""

import csv
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.amending.listed_files import ListedFiles
from datamodules.layouts.class_name import class_name
from datamodules.layouts.column_names import role_of
from datamodules.layouts.csv_text import read_csv
from datamodules.samples import NO_LABEL, Samples


def read_corrections(
    table: str, files: Iterable[str], folder: Path, class_names: Sequence[str], ambiguous: Collection[str] = ()
) -> dict[str, int]:
    """Read the labels that a table gives to files of a data set.

    Args:
        table: CSV or TSV file with the columns ``path`` and ``label`` (or ``file`` and ``class``); others don't count.
        files: All files of the data set.
        folder: What relative paths in it are relative to.
        class_names: Names of the classes; a label is a position in this list.
        ambiguous: Files of which there are several samples, so that a path doesn't say which is meant.

    Returns:
        Labels by file.

    Raises:
        MisconfigurationException: If the table can't be read, or names a file or a class that there isn't, or a
            file that is ambiguous, or gives two labels to a file.
    """
    source = f"data.corrected_labels, {table}"
    try:
        rows = read_csv(Path(table), role_of).rows
    except (OSError, ValueError, csv.Error) as error:
        raise MisconfigurationException(f"Can't read {source}: {error}.") from error
    roles = [role_of(name) for name in rows[0][1]] if rows else []
    if "path" not in roles or "label" not in roles:
        raise MisconfigurationException(f"{source}, needs a first line with the columns path and label.")
    path, label = roles.index("path"), roles.index("label")
    listed = ListedFiles(files, folder, source)
    index_of = {name: index for index, name in enumerate(class_names)}
    found: dict[str, int] = {}
    for number, cells in rows[1:]:
        if len(cells) <= max(path, label):
            raise MisconfigurationException(f"{source}, has too few cells in line {number}.")
        name = class_name(cells[label])
        if name not in index_of:
            raise MisconfigurationException(
                f"{source}, gives the label {name!r} in line {number}, which is none of the {len(class_names)} classes."
            )
        for file in listed.find(cells[path], number):
            if file in ambiguous:
                raise MisconfigurationException(
                    f"{source}, gives a label to {file} in line {number}, of which the data set lists several boxes: a "
                    "path doesn't say which of them is meant, so correct it in the data set's own table."
                )
            if found.setdefault(file, index_of[name]) != index_of[name]:
                raise MisconfigurationException(f"{source}, gives {file} a second label in line {number}.")
    return found


def corrected(samples: Samples, corrections: dict[str, int]) -> Samples:
    """Replace labels.

    Args:
        samples: The samples.
        corrections: Labels by file.

    Returns:
        The samples, with those labels where there are any.
    """
    if not corrections:
        return samples
    old = np.full(len(samples), NO_LABEL) if samples.labels is None else samples.labels
    pairs = zip(samples.files.tolist(), old.tolist(), strict=True)
    labels = np.array([corrections.get(file, label) for file, label in pairs], dtype=np.int64)
    return Samples(samples.files, labels, samples.boxes, samples.groups)
