"""Parquet tables that hold the photographs themselves, as Hugging Face's data sets do."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lightning.fabric.utilities.exceptions import MisconfigurationException
from pyarrow import parquet

from datamodules.layouts.unpacked_folder import note_source, unpacked_folder
from datamodules.progress import progress
from datamodules.reading.file_kinds import HEAD, recognise

_ROWS = 64  # in memory at once
_LONGEST = 240  # bytes of a name; file systems take 255, and the row stands before it


@dataclass(frozen=True)
class StoredImages:
    """Photographs in a table, and the files that they are written to, since training reads in any order.

    Attributes:
        table: The Parquet file.
        column: The column of the photographs: ``{bytes, path}``, or the bytes alone.
        folder: The folder of the files, which no other table and no other version of this one has.
        files: Where each row's photograph goes, shape (n,).
    """

    table: Path
    column: str
    folder: Path
    files: npt.NDArray[np.str_]

    def write(self) -> None:
        """Write the files, all or none, unless they are there.

        Raises:
            MisconfigurationException: If they can't be written, or a row has no photograph.
        """
        folder = self.folder
        if folder.is_dir():
            return
        try:
            draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._write(draft)
            note_source(self.table, draft)
            draft.chmod(0o755)
            if not folder.is_dir():  # another run may have been faster
                draft.rename(folder)
        except (OSError, pa.ArrowException) as error:
            raise self._unwritable(error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _write(self, draft: Path) -> None:
        names = enumerate(self.files.tolist(), start=1)
        file = parquet.ParquetFile(self.table)
        with progress(total=len(self.files), desc=f"unpacking {self.table.name}", unit=" images") as bar:
            for batch in file.iter_batches(batch_size=_ROWS, columns=[self.column]):
                for row in batch.column(0).to_pylist():
                    data = row["bytes"] if isinstance(row, dict) else row
                    number, name = next(names)
                    if data is None:
                        raise MisconfigurationException(f"{self.table} has no photograph in row {number}.")
                    (draft / Path(name).name).write_bytes(data)
                    bar.update()

    def _unwritable(self, error: Exception) -> MisconfigurationException:
        reason = error.strerror if isinstance(error, OSError) else error
        return MisconfigurationException(
            f"Can't unpack the photographs of {self.table} into {self.folder}: {reason}. Copy the table to a folder "
            "that can be written to."
        )


def holds_images(file: parquet.ParquetFile, column: pa.Field) -> bool:
    """Check whether a column holds photographs.

    Args:
        file: The table.
        column: The column.

    Returns:
        Whether it holds structures with a field ``bytes``, or bytes that aren't text, which some programs write so.
    """
    if pa.types.is_struct(column.type):
        return bool(column.type.get_field_index("bytes") >= 0)
    if not is_binary(column.type):
        return False
    for batch in file.iter_batches(batch_size=_ROWS, columns=[column.name]):
        for data in batch.column(0).to_pylist():
            if data is not None:
                kind = recognise(data[:HEAD])
                return kind is None or kind.picture
    return False


def is_binary(kind: pa.DataType) -> bool:
    """Check whether a type is that of bytes.

    Args:
        kind: The type.

    Returns:
        Whether it is.
    """
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def stored_images(table: Path, column: str, original: list[Any]) -> StoredImages:
    """Plan where the photographs of a table go.

    Args:
        table: The Parquet file.
        column: The column that holds them.
        original: Their original paths, as far as they are known.

    Returns:
        The plan; nothing is written yet.
    """
    folder = unpacked_folder(table)
    files = [f"{folder / _name(row, path)}" for row, path in enumerate(original, start=1)]
    return StoredImages(table, column, folder, np.array(files, dtype=np.str_))


def _name(row: int, original: Any) -> str:
    name = PurePosixPath(str(original or "").replace("\\", "/").replace("\0", "")).name
    kept = name[-100:].encode(errors="replace")[-_LONGEST:].decode(errors="ignore")
    return f"{row:06d}-{kept}" if name else f"{row:06d}.jpg"
