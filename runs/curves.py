"""Reads the curves that loggers have written."""

import csv
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

Curve = dict[int, float]


def read_curve(run: Path, name: str) -> Curve:
    """Read a curve of a run.

    Args:
        run: Its folder.
        name: The logged name, such as ``val/accuracy``.

    Returns:
        Values by optimizer step, in rising order; nothing where no logger of TensorBoard or CSV has written it.
    """
    return CurveReader(run, name).read()


class CurveReader:
    """Reads a curve again and again, while the run continues.

    Args:
        run: The folder of the run.
        name: The logged name.
    """

    def __init__(self, run: Path, name: str) -> None:
        self.run = run
        self.name = name
        self._events: Any = None
        self._sizes: dict[Path, int] = {}
        self._curve: Curve = {}

    def read(self) -> Curve:
        """Read what has been written so far.

        Returns:
            Values by optimizer step, in rising order.
        """
        files = [*self.run.glob("metrics*.csv"), *self.run.glob("events.out.tfevents.*")]
        sizes = {file: file.stat().st_size for file in files}
        if sizes != self._sizes:
            points: Curve = {}
            for source in (self._from_csv, self._from_events):
                for step, value in source():
                    points.setdefault(step, value)
            self._sizes, self._curve = sizes, dict(sorted(points.items()))
        return self._curve

    def _from_csv(self) -> Iterator[tuple[int, float]]:
        for file in sorted(self.run.glob("metrics*.csv")):
            with file.open(encoding="utf-8", newline="") as rows, suppress(ValueError, KeyError):
                for row in csv.DictReader(rows):
                    if row.get(self.name):
                        yield int(row["step"]), float(row[self.name])

    def _from_events(self) -> Iterator[tuple[int, float]]:
        if not any(self.run.glob("events.out.tfevents.*")):
            return
        if self._events is None:
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # takes a second

            self._events = EventAccumulator(str(self.run), size_guidance={"scalars": 0})
        logger = logging.getLogger("tensorboard")
        level = logger.level
        logger.setLevel(logging.ERROR)  # it warns of every run that was continued
        self._events.Reload()  # reads what has been added
        logger.setLevel(level)
        if self.name in self._events.Tags()["scalars"]:
            for event in self._events.Scalars(self.name):
                yield int(event.step), float(event.value)
