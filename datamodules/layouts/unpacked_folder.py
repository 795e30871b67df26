"""The folder into which the photographs of a Parquet table are unpacked."""

import hashlib
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from datamodules.files.json_file import read_object, write_object

_SOURCE = ".source.json"


def unpacked_folder(table: Path) -> Path:
    """Name the folder for the present content of a table.

    A table's footer, of which the name consists, may be the same of two contents, such as the same rows in another
    order. So the folder notes what it was unpacked from, and another content gets another folder.

    Args:
        table: The Parquet file.

    Returns:
        The folder, which may not exist yet.
    """
    folder = table.with_name(f"{table.stem}.images-{_footer_check(table):08x}")
    if not folder.is_dir():
        return folder
    noted, state = read_object(folder / _SOURCE), _state(table)
    if noted is None:  # an older version has unpacked it
        same = folder.stat().st_mtime_ns >= state["time"]
        return folder if same else folder.with_name(f"{folder.name}-{_digest(table)[:8]}")
    if {**noted, "digest": ""} == {**state, "digest": ""}:
        return folder
    digest = _digest(table)
    if noted.get("digest") != digest:
        return folder.with_name(f"{folder.name}-{digest[:8]}")
    with suppress(OSError):
        write_object(folder / _SOURCE, {**state, "digest": digest})  # copied or touched: it needn't be read again
    return folder


def note_source(table: Path, folder: Path) -> None:
    """Note what a folder was unpacked from.

    Args:
        table: The Parquet file.
        folder: The folder.
    """
    write_object(folder / _SOURCE, {**_state(table), "digest": _digest(table)})


def _footer_check(table: Path) -> int:
    with table.open("rb") as file:
        file.seek(-8, 2)
        size = int.from_bytes(file.read(4), "little")
        file.seek(-8 - size, 2)
        return zlib.crc32(file.read(size))


def _state(table: Path) -> dict[str, Any]:
    found = table.stat()
    return {"size": found.st_size, "time": found.st_mtime_ns}


def _digest(table: Path) -> str:
    with table.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
