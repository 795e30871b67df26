"""Reads checkpoints whose weights lie in a folder, a part for each device that trained, on any device."""

import io
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import metadata
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load

_REST = "meta.pt"  # Lightning's name for all but weights and optimizer
_PREFIXES = ("state_dict.", "model.")  # of the weights, as ModelParallelStrategy and FSDPStrategy write them
_METADATA = metadata.__name__
_HARMLESS = {
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("torch", "Size"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch.serialization", "_get_layout"),
}


def is_sharded(folder: Path) -> bool:
    """Recognise a sharded checkpoint, which is complete.

    Args:
        folder: The folder.

    Returns:
        Whether it is one.
    """
    return (folder / _REST).is_file()


def read_rest(folder: Path) -> dict[str, Any]:
    """Read all but weights and optimizer, and make sure that reading those will run no code.

    PyTorch unpickles the table of contents, and whatever isn't a tensor, without a look at what it may call.

    Args:
        folder: The folder of the checkpoint.

    Returns:
        ``hyper_parameters`` and so on.

    Raises:
        pickle.UnpicklingError: If it holds code.
    """
    contents = _read_contents(folder)
    for index, place in contents.storage_data.items():
        if isinstance(contents.state_dict_metadata[index.fqn], metadata.BytesStorageMetadata):
            with (folder / place.relative_path).open("rb") as file:
                file.seek(place.offset)
                torch.load(io.BytesIO(file.read(place.length)), map_location="cpu", weights_only=True)
    content: dict[str, Any] = torch.load(folder / _REST, map_location="cpu", weights_only=True)
    return content


def load_sharded(folder: Path) -> dict[str, Any]:
    """Put the weights of a sharded checkpoint together.

    Args:
        folder: The folder of the checkpoint.

    Returns:
        What a checkpoint in a file would hold, but for the optimizer's state; the weights on the CPU.
    """
    content = read_rest(folder)
    weights = {
        key: torch.empty(item.size, dtype=item.properties.dtype)
        for key, item in _read_contents(folder).state_dict_metadata.items()
        if key.startswith(_PREFIXES) and isinstance(item, metadata.TensorStorageMetadata)
    }
    reader = FileSystemReader(folder)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        load(weights, storage_reader=reader, no_dist=True)
    return {**content, "state_dict": {key.partition(".")[2]: tensor for key, tensor in weights.items()}}


def trained_parameters(folder: Path) -> set[str]:
    """Name the parameters that the optimizer had stepped when a sharded checkpoint was saved.

    Args:
        folder: The folder of the checkpoint.

    Returns:
        Their names within the module that was trained.
    """
    keys = (
        re.fullmatch(r"optimizer_\d+\.state\.(.+)\.[^.]+", key) for key in _read_contents(folder).state_dict_metadata
    )
    return {key[1] for key in keys if key}


def _read_contents(folder: Path) -> metadata.Metadata:
    with (folder / ".metadata").open("rb") as file:
        contents = _HarmlessUnpickler(file).load()
    if not isinstance(contents, metadata.Metadata):
        raise pickle.UnpicklingError(f"{folder / '.metadata'} is no table of contents.")
    return contents


class _HarmlessUnpickler(pickle.Unpickler):
    """Accepts the types of a table of contents, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        found = getattr({"torch": torch, _METADATA: metadata}.get(module), name, None)  # a dotted name isn't found
        if isinstance(found, torch.dtype) or (isinstance(found, type) and found.__module__ == _METADATA):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} may run code.")
