"""Stanford Cars from the Hugging Face hub: Parquet files with image bytes and labels."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from huggingface_hub import snapshot_download
from lightning.fabric.utilities.exceptions import MisconfigurationException
from pyarrow import parquet

from datamodules.layouts import CAR_NAMES, Part
from datamodules.layouts.annotation_files import IMAGES, write_class_names, write_samples
from datamodules.layouts.car_names import official_index
from datamodules.layouts.official_annotations import COUNTS
from datamodules.progress import progress
from datamodules.samples import Samples

_PARTS: tuple[Part, ...] = ("train", "test")
_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PN": ".png", b"RIF": ".webp"}


def fetch_from_hub(repository: str, draft: Path) -> Path:
    """Fetch a Parquet copy through the hub's cache, and write it in the devkit's layout.

    Args:
        repository: ``OWNER/NAME`` of a data set with the columns ``image`` and ``label`` and the splits train and
            test. ``HF_ENDPOINT``, ``HF_HOME`` and ``HF_TOKEN`` work as everywhere.
        draft: Folder to write to; images that an interrupted call has written there are kept.

    Returns:
        The folder in it that holds the data set.

    Raises:
        MisconfigurationException: If the hub can't be reached, or the files aren't as expected.
    """
    snapshot = _fetch(repository)
    content = draft / "stanford_cars"
    (content / "devkit").mkdir(parents=True, exist_ok=True)
    files = {part: _parquet_files(snapshot, part) for part in _PARTS}
    for part in _PARTS:
        rows = sum(parquet.read_metadata(file).num_rows for file in files[part])
        if rows != COUNTS[part]:
            raise MisconfigurationException(
                f"{repository} has {rows} {part} images, but Stanford Cars has {COUNTS[part]}: it is no complete copy."
            )
    write_class_names(content, CAR_NAMES)
    for part in _PARTS:
        write_samples(content, part, _write_images(files[part], content / IMAGES[part], part))
    return content


def _fetch(repository: str) -> Path:
    patterns = [f"*{part}{end}" for part in _PARTS for end in ("-*.parquet", "/*.parquet", ".parquet")]
    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        return Path(snapshot_download(repository, repo_type="dataset", allow_patterns=patterns, endpoint=endpoint))
    except Exception as error:  # connections break in many ways; what has arrived stays in the hub's cache
        reason = " ".join(str(error).split())
        raise MisconfigurationException(
            f"Can't fetch {repository} from the Hugging Face hub: {type(error).__name__}: {reason} "
            "Try again, the same command goes on; or give archives as data.source."
        ) from error


def _parquet_files(snapshot: Path, part: str) -> list[Path]:
    files = sorted(
        path
        for path in snapshot.rglob("*.parquet")
        if path.name.startswith((f"{part}-", f"{part}.")) or path.parent.name == part
    )
    for path in files:
        try:
            columns = set(parquet.read_schema(path).names)
        except pa.ArrowException as error:
            path.resolve().unlink()  # out of the hub's cache, which would take it for complete
            path.unlink(missing_ok=True)
            raise MisconfigurationException(
                f"{path} is no Parquet file ({str(error).rstrip('.')}) and was removed: try again."
            ) from error
        if not {"image", "label"} <= columns:
            raise MisconfigurationException(
                f"{path} has the columns {sorted(columns)}, but image and label are needed."
            )
    return files


def _write_images(files: Sequence[Path], folder: Path, part: Part) -> Samples:
    folder.mkdir(exist_ok=True)
    names: list[str] = []
    labels: list[int] = []
    with progress(total=COUNTS[part], desc=f"writing {folder.name}", unit=" images") as bar:
        for file in files:
            table = parquet.ParquetFile(file)
            index_of = _class_indices(file, table.schema_arrow)
            for batch in table.iter_batches(batch_size=64, columns=["image", "label"]):
                for row in batch.to_pylist():
                    data = (row["image"] or {}).get("bytes")
                    if data is None or row["label"] is None or (isinstance(row["label"], int) and row["label"] < 0):
                        raise MisconfigurationException(
                            f"{file} has no {'photograph' if data is None else 'label'} in row {len(names) + 1} of "
                            f"{folder.name}: the mirror can't be used; name another by data.source."
                        )
                    names.append(f"{len(names) + 1:05d}{_SUFFIXES.get(data[:3], '.jpg')}")
                    labels.append(index_of[row["label"]])
                    target = folder / names[-1]
                    if not (target.is_file() and target.stat().st_size == len(data)):
                        target.write_bytes(data)
                bar.update(len(batch))
    return Samples(np.array(names), np.array(labels, dtype=np.int64))


def _class_indices(file: Path, schema: pa.Schema) -> dict[Any, int]:
    """Map a mirror's labels to the official classes by name: mirrors sort their classes in different ways."""
    if pa.types.is_string(schema.field("label").type):
        return _OfficialIndices()
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    class_names = features.get("label", {}).get("names")
    if not class_names:
        raise MisconfigurationException(f"{file} has numbers for labels, but no names to tell what they mean.")
    by_name = _OfficialIndices()
    return {label: by_name[name] for label, name in enumerate(class_names)}


class _OfficialIndices(dict[Any, int]):
    def __missing__(self, name: str) -> int:
        index = official_index(name)
        if index is None:
            raise MisconfigurationException(f"The mirror has the class {name!r}, which is none of Stanford Cars'.")
        return index
