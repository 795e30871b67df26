"""Writes data sets as large files of many images, which litdata streams: the command ``convert``."""

import shutil
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.files.text_files import encode_lines
from datamodules.image_data_module import ImageDataModule
from datamodules.layouts import Part, write_split
from datamodules.progress import progress
from datamodules.reading.image_reader import read_bytes
from datamodules.reading.shrunk_file import shrink, shrink_box
from datamodules.remote.draft import drafted
from datamodules.remote.storage import Storage, is_remote
from datamodules.samples import Samples
from datamodules.streaming import CLASSES, TABLE

_SPLITS: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
_CHUNK_BYTES = 64 << 20


class _Options(NamedTuple):
    max_side: int | None
    chunk_bytes: int


def convert(
    data: ImageDataModule, output: Path | str, max_side: int | None = None, chunk_bytes: int | None = None
) -> None:
    """Write the splits that a data set has as chunks, training images in random order.

    In object storage, each chunk is uploaded as soon as it is full, so that the set need not fit on this machine; the
    table comes last, without which nothing is read from there.

    Args:
        data: The data module.
        output: Folder to write to, which must not exist, or its URL in object storage.
        max_side: Longer side in pixels to which larger images are shrunk; None keeps all as they are.
        chunk_bytes: Size of a chunk; None takes 64 MiB.

    Raises:
        MisconfigurationException: If the folder exists or can't be written to, an image can't be read, the side isn't
            positive, or litdata isn't installed.
    """
    if max_side is not None and max_side < 1:
        raise MisconfigurationException(f"--max_side is {max_side}: it has to be 1 or more.")
    try:
        import litdata  # noqa: F401
    except ImportError as error:
        raise MisconfigurationException("convert needs litdata: pip install -e '.[streaming]'.") from error
    storage = Storage(str(output)) if is_remote(str(output)) else None
    _require_absent(output, storage.exists(TABLE) if storage else Path(output).exists())
    data.prepare_data()
    options = _Options(max_side, chunk_bytes or _CHUNK_BYTES)
    if storage is not None:
        with tempfile.TemporaryDirectory(prefix="carspotter-convert-") as folder:
            _write(data, Path(folder), options, storage)
            storage.put(Path(folder) / CLASSES, CLASSES)
            storage.put(Path(folder) / TABLE, TABLE)
        return
    with drafted(Path(output)) as draft:  # a name of its own: what another conversion has left is never taken over
        _write(data, draft, options, None)
        _require_absent(output, Path(output).exists())


def _require_absent(output: Path | str, exists: bool) -> None:
    if exists:
        raise MisconfigurationException(f"--output is {output}, which exists already: remove it or choose another.")


def _write(data: ImageDataModule, folder: Path, options: _Options, storage: Storage | None) -> None:
    left_out = {"val"} if data.not_validated else set()
    left_out |= set() if data.has_test else {"test"}
    parts: dict[Part, Samples] = {}
    for split in (split for split in _SPLITS if split not in left_out):  # all lists before hours of writing
        samples = data.samples(split)
        order = np.arange(len(samples))
        if split == "train":  # so that neighbours in a chunk are of different classes
            order = np.random.default_rng(0).permutation(len(samples))
        parts[split] = samples.take(order)  # a copy, whose boxes may shrink
    for part, samples in parts.items():
        _write_chunks(samples, part, folder / part, options, storage)
    names = data.class_names
    (folder / CLASSES).write_text(encode_lines(names), encoding="utf-8")
    write_split(folder / TABLE, Path(), parts, names)


def _write_chunks(samples: Samples, split: str, folder: Path, options: _Options, storage: Storage | None) -> None:
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder), chunk_bytes=options.chunk_bytes)
    for index, file in enumerate(progress(samples.files, desc=f"converting {split}", unit=" images")):
        image, across, down = shrink(read_bytes(file), str(file), options.max_side)
        if options.max_side is not None and samples.boxes is not None:
            shrink_box(samples.boxes[index], across, down)
        full = writer.add_item(index, {"image": image})
        if full and storage is not None:
            _upload(folder, split, storage)
    writer.done()
    writer.merge()
    if storage is not None:
        _upload(folder, split, storage)
        storage.put(folder / "index.json", f"{split}/index.json")
        shutil.rmtree(folder)


def _upload(folder: Path, split: str, storage: Storage) -> None:
    """Upload the chunks that are full, and remove them here."""
    for chunk in folder.glob("*.bin"):
        storage.put(chunk, f"{split}/{chunk.name}")
        chunk.unlink()
