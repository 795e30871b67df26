"""Reads the curves that loggers have written."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

Curve = dict[int, float]


def read_curve(run: Path, name: str) -> Curve:
    """Read a curve of a run.

    Args:
        run: Its folder.
        name: The logged name, such as ``val/accuracy``.

    Returns:
        Values by optimizer step, in rising order; nothing where no logger of TensorBoard or CSV has written it.
    """
    points: Curve = {}
    for source in (_from_csv, _from_events):
        for step, value in source(run, name):
            points.setdefault(step, value)
    return dict(sorted(points.items()))


def _from_csv(run: Path, name: str) -> Iterator[tuple[int, float]]:
    for file in sorted(run.glob("metrics*.csv")):
        with file.open(encoding="utf-8", newline="") as rows, suppress(ValueError, KeyError):
            for row in csv.DictReader(rows):
                if row.get(name):
                    yield int(row["step"]), float(row[name])


def _from_events(run: Path, name: str) -> Iterator[tuple[int, float]]:
    if not any(run.glob("events.out.tfevents.*")):
        return
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # takes a second

    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    if name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            yield int(event.step), float(event.value)
