"""Records how a data set is divided."""

import csv
import io
import os
import tempfile
from pathlib import Path

import numpy as np

from datamodules.layouts.column_names import BOX
from datamodules.layouts.layout import Part
from datamodules.samples import NO_LABEL, Samples


def write_split(path: Path, folder: Path, parts: dict[Part, Samples], class_names: list[str]) -> bool:
    """Record which file belongs to which part; the file is written completely or not at all, and never replaced.

    Args:
        path: The CSV file, in UTF-8; a file name that isn't UTF-8 stands in its bytes.
        folder: What its paths are relative to.
        parts: Samples by part.
        class_names: Names of the classes.

    Returns:
        Whether it was written: else it is there already, perhaps since another command has just divided the data set.
    """
    lists = [(part, samples) for part, samples in parts.items() if len(samples)]
    boxed = bool(lists) and all(samples.boxes is not None for _, samples in lists)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)  # else \r would stand unquoted
    writer.writerow(["path", "label", "split", *(BOX if boxed else ())])
    for part, samples in lists:
        labels = np.full(len(samples), NO_LABEL) if samples.labels is None else samples.labels
        boxes = samples.boxes.tolist() if boxed and samples.boxes is not None else [()] * len(samples)
        for file, label, box in zip(samples.files.tolist(), labels.tolist(), boxes, strict=True):
            name = "" if label == NO_LABEL else class_names[label]
            writer.writerow([_relative(file, str(folder)), name, part, *box])
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=path.parent) as folder_of_draft:
        draft = Path(folder_of_draft) / path.name
        draft.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape", newline="")
        try:
            os.link(draft, path)  # which fails where there is something, unlike a renaming
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            draft.replace(path)
    return True


def _relative(file: str, folder: str) -> str:
    """Write a path so that it is found from the folder, wherever the next command is given."""
    if file.startswith(f"{folder}/"):
        return file[len(folder) + 1 :]
    if folder == "." or os.path.isabs(file) != os.path.isabs(folder):  # noqa: PTH117 - perhaps one of a million
        return file
    return os.path.relpath(file, folder)
