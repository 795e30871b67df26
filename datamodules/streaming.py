"""Data sets as large files of many images, streamed by litdata: for sets beyond one disk, or slow file systems."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from datamodules.cache.user_cache import user_cache
from datamodules.chunks.local_chunks import LocalChunks
from datamodules.chunks.remote_chunks import RemoteChunks
from datamodules.files.text_files import decode_lines
from datamodules.image_data_module import ImageDataModule
from datamodules.image_dataset import ImageDataset
from datamodules.layouts import Layout, recognise_layout
from datamodules.layouts.class_name import class_name
from datamodules.loading.sampler_key import SamplerKey
from datamodules.loading_data_module import Split
from datamodules.reading.image_reader import Image, decode_image
from datamodules.reading.needed_pixels import NeededPixels
from datamodules.remote.draft import drafted
from datamodules.remote.storage import Storage, is_remote
from datamodules.samples import Samples

TABLE = "samples.csv"
CLASSES = "classes.txt"


class StreamedDataset(ImageDataset):
    """Takes the bytes of images out of chunks; all else is ``ImageDataset``'s.

    Args:
        chunks: What takes samples out of the split's chunks.
        samples: What they hold, in their order.
        keep: As that of ``ImageDataset``.
        **options: Further arguments of ``ImageDataset``.
    """

    def __init__(
        self,
        chunks: LocalChunks | RemoteChunks,
        samples: Samples,
        keep: npt.NDArray[np.int64] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(samples, keep=keep, **options)
        self.keep = keep
        self.stream, self.block = chunks, chunks.block
        if len(chunks) != len(samples):
            where = chunks.storage.url if isinstance(chunks, RemoteChunks) else chunks.folder
            raise MisconfigurationException(
                f"{where} holds {len(chunks)} images, but {TABLE} lists {len(samples)}: convert the data again."
            )

    def blocks_of(self, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Find the chunks of samples in object storage; see ``ImageDataset.blocks_of``.

        Args:
            order: Indices of samples, int64 of shape (n,).

        Returns:
            Numbers of chunks, int64 of shape (n,); None of chunks on this machine.
        """
        if not isinstance(self.stream, RemoteChunks):
            return None
        positions = order if self.keep is None else self.keep[order]
        return np.searchsorted(self.stream.ends, positions, side="right")

    def __getitem__(self, key: SamplerKey | int) -> tuple[Tensor, int]:
        """Load one sample, and begin to fetch the chunks of others; see ``ImageDataset.__getitem__``.

        Args:
            key: As that of ``ImageDataset``.

        Returns:
            The image, uint8 of shape (3, height, width), and its label.
        """
        if isinstance(key, SamplerKey) and key.soon and isinstance(self.stream, RemoteChunks):
            self.stream.read_ahead(key.soon)
        return super().__getitem__(key)

    def read(self, index: int, needed: NeededPixels | None = None) -> Image:
        """Read one picture out of its chunk; see ``ImageDataset.read``.

        Args:
            index: Position in the samples.
            needed: What it is for, if it may be decoded smaller.

        Returns:
            The picture, uint8 of shape (height, width, 3), RGB.
        """
        position = index if self.keep is None else int(self.keep[index])
        data = _stored_file(self.stream, position)
        return decode_image(data, str(self.samples.files[index]), self.box(index), needed)


class StreamingDataModule(ImageDataModule):
    """What ``train.py convert`` has written; needs ``pip install -e '.[streaming]'``.

    Epochs are shuffled by chunks, and then within windows of a few chunks, so that each chunk is fetched about once an
    epoch. Evaluations count every sample once, on any number of devices. Chunks in object storage are fetched as a
    whole and kept in ``cache_dir`` (up to ``cache_gb``), where all processes of a machine and later runs find them.

    Args:
        root: Folder that ``convert`` has written, or where it was uploaded to (``s3://bucket/folder``, which needs
            ``pip install -e '.[s3]'``).
        chunks: Where the chunks were moved to, if they aren't in ``root``: a folder or a URL.
        crop_to_box: Cut every image of every split out along its annotated box.
        box_margin: Share of the box's width and height kept around it on every side.
        **options: Arguments of ``ImageDataModule``.
    """

    def __init__(
        self,
        root: str = "data/stream",
        chunks: str | None = None,
        crop_to_box: bool = False,
        box_margin: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if self.cache != "none":
            raise MisconfigurationException(
                f"data.cache is {self.cache}: chunks aren't cached as pixels. Set it to none, and shrink large "
                "photographs when they are converted (train.py convert --max_side)."
            )
        self.root, self._given = Path(root), root  # a path has no second slash
        self.remote = Storage(root) if is_remote(root) else None
        self.chunks = (chunks or root).rstrip("/")
        self.crop_to_box = crop_to_box
        self.box_margin = box_margin

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the data set that was converted."""
        try:
            text = (self._root / CLASSES).read_text(encoding="utf-8")
            return [class_name(name) for name in decode_lines(text)]
        except OSError as error:
            raise MisconfigurationException(
                f"data.root is {self._given}, which train.py convert hasn't written: there is no {CLASSES}."
            ) from error

    @cached_property
    def _root(self) -> Path:
        """Where classes and table lie on this machine; those of object storage are fetched, and may have changed."""
        if self.remote is None:
            return self.root
        contents = {name: self.remote.read(name) for name in (CLASSES, TABLE)}
        digest = hashlib.sha256(b"".join(contents.values())).hexdigest()[:20]
        folder = self._kept_in / "tables" / digest
        for name, content in contents.items():
            if not (folder / name).exists():
                with drafted(folder / name) as draft:
                    draft.write_bytes(content)
        return folder

    @property
    def _table(self) -> Layout:
        return recognise_layout(self._root / TABLE)

    @property
    def _kept_in(self) -> Path:
        return Path(self.cache_dir) if self.cache_dir else user_cache("chunks")

    @cached_property
    def not_validated(self) -> str | None:
        """Why there are no validation images; None if there are."""
        return None if "val" in self._table.parts else f"{self._given} has been converted without any"

    @property
    def has_test(self) -> bool:
        """Whether a test part has been converted."""
        return "test" in self._table.parts

    @property
    def crop_margin(self) -> float | None:
        """Margin of the boxes that pictures are cut out along; None leaves them whole."""
        return self.box_margin if self.crop_to_box else None

    def samples(self, split: Literal["train", "val", "test"]) -> Samples:
        """List one split.

        Args:
            split: The split.

        Returns:
            Names of the original files, labels and boxes, in the order of the chunks.

        Raises:
            MisconfigurationException: If the table is missing or damaged, or boxes are needed that aren't there.
        """
        index_of = {name: index for index, name in enumerate(self.class_names)}
        samples = self._table.with_classes(self.class_names, index_of).read(split)
        names = [name.removeprefix(f"{self._root}/") for name in samples.files.tolist()]  # as the files were called
        samples = replace(samples, files=np.array(names, dtype=np.str_))
        if self.crop_to_box and samples.boxes is None:
            raise MisconfigurationException(f"data.crop_to_box needs boxes, but {TABLE} in {self._given} has none.")
        return samples

    def make_dataset(self, split: Split, samples: Samples, **options: Any) -> ImageDataset:
        """Build the data set of a split over its chunks.

        Args:
            split: The split.
            samples: Its samples.
            **options: Further arguments of ``ImageDataset``.

        Returns:
            The data set.
        """
        return StreamedDataset(self._chunks_of(split), samples, **options)

    def stored_files(self, split: Split) -> Callable[[int], bytes]:
        """Find how to read the files of ``samples`` by their positions."""
        return partial(_stored_file, self._chunks_of(split))

    def _chunks_of(self, split: Split) -> LocalChunks | RemoteChunks:
        url = f"{self.chunks}/{split}"
        return RemoteChunks(url, self._kept_in, self._cache_limit) if is_remote(url) else LocalChunks(url)


def _stored_file(chunks: LocalChunks | RemoteChunks, position: int) -> bytes:
    return bytes(chunks[position]["image"])
