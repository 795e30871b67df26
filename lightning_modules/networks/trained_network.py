"""Begins a new training from a network that was trained before, with the same or other classes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from lightning_modules.networks.backbones import Backbone
from runs.checkpoints import read_trained
from runs.class_names import ClassNames
from runs.finding import find_checkpoint
from runs.remote_file import is_url

_NETWORK, _STATISTICS = "network.", ("normalize.mean", "normalize.std")


class TrainedNetwork(NamedTuple):
    """What a checkpoint of a classifier says about its network.

    Attributes:
        checkpoint: The file, or the folder of a sharded checkpoint.
        state: Tensors of the network by name; where weights were averaged, the averages.
        class_names: Names of its classes, in the order of the rows of its head.
    """

    checkpoint: Path
    state: dict[str, Tensor]
    class_names: list[str]


def is_trained(weights: str) -> bool:
    """Distinguish checkpoints and runs from the names of published weights, and from files of plain weights.

    Args:
        weights: What stands behind ``model.weights``, no local file of plain weights.

    Returns:
        Whether it is a checkpoint or a run.
    """
    path = Path(re.split(r"[?#]", weights)[0] if is_url(weights) else weights)
    return path.suffix.lower() == ".ckpt" or (not is_url(weights) and (len(path.parts) > 1 or path.is_dir()))


def read_trained_network(backbone: Backbone, weights: str) -> TrainedNetwork:
    """Read a checkpoint's network, without running any code that it may hold.

    Args:
        backbone: The network to be filled; its statistics become those that the checkpoint was trained with.
        weights: A ``.ckpt`` file, its URL, the folder of a run or of a sharded checkpoint.

    Returns:
        The network.

    Raises:
        MisconfigurationException: If it is missing, damaged, or of another backbone.
    """
    if not is_url(weights) and not Path(weights).exists():
        raise MisconfigurationException(
            f"model.weights is {weights}, but there is no such file or folder: give a checkpoint, the folder of a run, "
            "a file of weights, the name of published ones, or null."
        )
    checkpoint = find_checkpoint(weights, "best", "model.weights")
    content = read_trained(checkpoint)
    stored = content["hyper_parameters"]
    # a tag behind the name of one of timm's networks names a set of published weights
    if str(stored["backbone"]).partition(".")[0] != backbone.name.partition(".")[0]:
        raise MisconfigurationException(
            f"model.weights {checkpoint} was trained with model.backbone {stored['backbone']}, but it is set to "
            f"{backbone.name}: choose the same."
        )
    tensors = {str(key): value for key, value in content["state_dict"].items() if isinstance(value, Tensor)}
    mean, std = (tensors.get(key) for key in _STATISTICS)
    if mean is None or std is None or mean.numel() != 3 or std.numel() != 3:
        raise MisconfigurationException(f"model.weights {checkpoint} lacks the statistics of the pixels.")
    backbone.mean, backbone.std = tuple(mean.flatten().tolist()), tuple(std.flatten().tolist())
    state = {key.removeprefix(_NETWORK): value for key, value in tensors.items() if key.startswith(_NETWORK)}
    return TrainedNetwork(checkpoint, state, list(stored["class_names"]))


def take_rows(backbone: Backbone, trained: TrainedNetwork, class_names: Sequence[str]) -> str:
    """Copy the head's weights of the classes that both networks have; the others keep their initial values.

    Args:
        backbone: The network; its head is changed in place.
        trained: The other one.
        class_names: Names of the network's classes.

    Returns:
        What was done, in a few words.

    Raises:
        MisconfigurationException: If the weights aren't finite.
    """
    known = ClassNames(trained.class_names)
    pairs = [(row, known.find(name)) for row, name in enumerate(class_names)]
    kept = {row: found for row, found in pairs if found is not None}
    own = {
        f"{head}.{name}": parameter
        for head in backbone.heads
        for name, parameter in backbone.network.get_submodule(head).named_parameters()
    }
    stored = {name: trained.state[name] for name in own if name in trained.state}
    expected = {name: (len(trained.class_names), *parameter.shape[1:]) for name, parameter in own.items()}
    if not kept or {name: tuple(tensor.shape) for name, tensor in stored.items()} != expected:
        return "the head begins anew"
    with torch.no_grad():
        for name, parameter in own.items():
            rows = stored[name][list(kept.values())]
            if not bool(torch.isfinite(rows).all()):
                raise MisconfigurationException(f"model.weights {trained.checkpoint} hold values that are not finite.")
            parameter[list(kept)] = rows.to(parameter.dtype)
    anew = len(class_names) - len(kept)
    if not anew:
        return f"all {len(kept)} classes keep their rows of the head"
    keep = "keeps its row" if len(kept) == 1 else "keep their rows"
    return f"{len(kept)} of {len(class_names)} classes {keep} of the head, {anew} begin{'s' * (anew == 1)} anew"
