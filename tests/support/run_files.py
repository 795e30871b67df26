"""What lies in the folders of runs, read without the project's own code."""

import csv
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Curves = dict[str, dict[int, float]]


def checksums(root: Path) -> dict[str, str]:
    """Hash all files below a folder, but for what W&B's service says of itself, also when a run has ended."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.match("wandb/*/logs/debug*.log"))
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tensorboard_curves(folder: Path) -> Curves:
    """Read the scalars of the events in a folder."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def csv_curves(folder: Path) -> Curves:
    """Read the columns of a CSV logger's file; a step that has two different values fails."""
    curves: Curves = {}
    with (folder / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            step = int(row.pop("step"))
            for name, value in row.items():
                if value:
                    assert curves.setdefault(name, {}).setdefault(step, float(value)) == float(value)
    return curves


def wandb_curves(folder: Path) -> Curves:
    """Read what W&B has kept offline: several files where a run was resumed, all of the same run."""
    from wandb.proto import wandb_internal_pb2

    curves: Curves = {}
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len({file.name for file in files}) == 1  # the name is the run's id
    for file in files:
        for data in _leveldb_records(file.read_bytes()[7:]):
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            record.ParseFromString(data)
            values: dict[str, Any] = {
                (item.key or "/".join(item.nested_key)): item.value_json for item in record.history.item
            }
            if "trainer/global_step" in values:
                step = int(float(values.pop("trainer/global_step")))
                for name, value in values.items():
                    if not name.startswith("_"):
                        curves.setdefault(name, {})[step] = float(value)
    return curves


def _leveldb_records(data: bytes) -> Iterator[bytes]:
    """Read records from LevelDB's log format: blocks of 32 KiB, parts with a header of checksum, length and type.

    W&B counts the blocks from the beginning of the file, whose own header takes 7 bytes; a torn end is left out.
    """
    block, header, whole, last = 32768, 7, 1, 4
    position, parts = 0, b""
    while position + header <= len(data):
        rest = block - (position + header) % block
        if rest < header:
            position += rest
            continue
        length, kind = struct.unpack("<HB", data[position + 4 : position + header])
        part = data[position + header : position + header + length]
        if len(part) < length or kind == 0:
            return
        parts += part
        position += header + length
        if kind in (whole, last):
            yield parts
            parts = b""


def mlflow_curves(store: Path, name: str) -> Curves:
    """Read the metrics of the run with a name, of which there must be one, from MLflow's files."""
    (tag,) = [path for path in store.glob("*/*/tags/mlflow.runName") if path.read_text() == name]
    metrics = tag.parent.parent / "metrics"
    curves: Curves = {}
    for file in sorted(path for path in metrics.rglob("*") if path.is_file()):
        for line in file.read_text().splitlines():
            _, value, step, *_ = line.split()
            curves.setdefault(str(file.relative_to(metrics)), {})[int(step)] = float(value)
    return curves
