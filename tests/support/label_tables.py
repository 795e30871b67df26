"""Photographs whose labels stand in a table alone, and what a layout reads of it."""

import csv
import io
from pathlib import Path

from datamodules.layouts import Layout
from tests.support.photos import class_folders

Labels = dict[str, str]


def photographs(root: Path) -> Labels:
    """Write photographs in folders that aren't classes; their labels stand in a table alone."""
    class_folders(root / "images", ["camera1", "camera 2"], 10)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.jpg"))
    return {file: ("Citroën C3", "Audi A4", "VW Käfer")[number % 3] for number, file in enumerate(files)}


def found(layout: Layout) -> Labels:
    answer = {}
    for part in layout.parts:
        samples = layout.read(part)
        assert samples.labels is not None
        for file, label in zip(samples.files.tolist(), samples.labels.tolist(), strict=True):
            answer[file.removeprefix(f"{layout.base}/")] = layout.class_names[label] if label >= 0 else ""
    return answer


def as_text(labels: Labels, sep: str = ",", header: tuple[str, str] = ("path", "label"), end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sep, lineterminator=end)
    writer.writerows([header, *labels.items()])
    return text.getvalue()
