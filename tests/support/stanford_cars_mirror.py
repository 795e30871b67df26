"""A mirror of Stanford Cars on a local hub: tiny pictures, fewer than the set has, whose colours tell which is which.

Tests import the fixtures as ``hub as hub``, since they ask for them by name alone.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from datamodules.layouts import CAR_NAMES, Part
from datamodules.layouts.official_annotations import COUNTS
from tests.support.hub_server import HubServer, serve

MIRROR = "owner/cars"
FEW: dict[Part, int] = {
    "train": 814,
    "test": 804,
}  # what takes long with all of them doesn't depend on how many there are
NAMES = [name.replace("/", "-") for name in sorted(CAR_NAMES)]  # not the official order, as with some mirrors


@pytest.fixture(autouse=True, scope="module")
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for part, count in FEW.items():
            patch.setitem(COUNTS, part, count)
        yield


def colour(index: int) -> tuple[int, int, int]:
    return index % 256, index // 256, 100


def mirror(short: int = 0, names: list[str] | None = NAMES) -> dict[str, bytes]:
    """The set's full numbers of tiny pictures; the colour tells which is which. The k-th belongs to class k % 196."""
    files = {}
    for part, count in COUNTS.items():
        pictures, labels = [], []
        for index in range(count - short):
            data = io.BytesIO()
            Image.new("RGB", (8, 8), colour(index)).save(data, "PNG")
            pictures.append({"bytes": data.getvalue(), "path": None})
            labels.append(NAMES.index(CAR_NAMES[index % 196].replace("/", "-")))
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = pa.table({"image": pictures, "label": labels, "caption": ["a car"] * len(labels)})
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        half = 5000 if count > 5000 else 500
        for number, start in enumerate((0, half)):
            shard = io.BytesIO()
            parquet.write_table(table.slice(start, half), shard)
            files[f"data/{part}-{number:05d}-of-00002.parquet"] = shard.getvalue()
    return {**files, "data/contrast-00000-of-00001.parquet": b"another split, which nobody wants"}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return mirror()


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serve(MIRROR, dict(files)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server
