"""Pictures that a run was evaluated on."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from datamodules.reading.image_reader import Image, UnreadableImageError, read_image
from results.evaluation_folders import are_other_data, data_root
from runs.run import CONFIG


class Labelled(NamedTuple):
    """A picture and its class.

    Attributes:
        file: The picture.
        label: The name of its class.
    """

    file: str
    label: str

    def read(self) -> Image | None:
        """Read the picture, RGB, uint8 of shape (height, width, 3); None if it can't be read."""
        return read_or_none(self.file)


def read_or_none(file: str) -> Image | None:
    """Read a picture, RGB, uint8 of shape (height, width, 3); None if it can't be read."""
    with suppress(UnreadableImageError):
        return read_image(file)
    return None


def evaluated_pictures(run: Path) -> list[Labelled]:
    """List the pictures of a run's evaluations, those of validations first.

    Args:
        run: Its folder.

    Returns:
        The pictures, each once; those of other data than the run's own only where there are no others.
    """
    tables = sorted(run.glob("*/predictions.csv"), key=lambda table: ("validate" not in table.parent.name, table))
    own = data_root(run / CONFIG)
    of_own_data = [table for table in tables if not are_other_data(own, data_root(table.with_name(CONFIG)))]
    return [*{picture.file: picture for table in of_own_data or tables for picture in _rows(table)}.values()]


def evenly(pictures: list[Labelled], number: int) -> list[Labelled]:
    """Take some pictures, evenly spaced.

    Args:
        pictures: All of them.
        number: How many, at most.

    Returns:
        Those.
    """
    taken = min(number, len(pictures))
    return [pictures[place * len(pictures) // taken] for place in range(taken)]


def _rows(table: Path) -> Iterator[Labelled]:
    with table.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as rows:
        for row in csv.DictReader(rows):
            if row.get("class") is not None:  # that of an evaluation, not of predict
                yield Labelled(row["file"], row["class"])
