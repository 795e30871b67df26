"""Puts pretrained weights into a network: from torchvision, timm, a local file, a URL or a run of this project."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import safetensors.torch
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torchvision.models import get_model_weights
from torchvision.models.vision_transformer import interpolate_embeddings

from lightning_modules.networks.backbones import TIMM, Backbone, published_statistics
from lightning_modules.networks.trained_network import is_trained, read_trained_network, take_rows
from runs.remote_file import fetch, is_url
from runs.suggestions import did_you_mean

_FILE_SUFFIXES = {".pth", ".pt", ".bin", ".safetensors"}


def load_weights(backbone: Backbone, weights: str, class_names: Sequence[str] = ()) -> None:
    """Fill a network, all but its new head, with pretrained weights.

    Args:
        backbone: The network; changed in place, its statistics too where the weights have their own.
        weights: ``DEFAULT``, the name of another set that torchvision publishes for the network, or a file: a state
            dict (``.pth``) or ``.safetensors``, local or under an http(s) URL; or what was trained by this project: a
            ``.ckpt`` file, its URL, the folder of a run or a sharded checkpoint.
        class_names: Names of the network's classes; those that such a checkpoint knows keep their rows of the head.

    Raises:
        MisconfigurationException: If the weights can't be loaded, aren't weights, or belong to another network.
    """
    name = backbone.name
    if Path(weights).suffix.lower() in _FILE_SUFFIXES and not is_url(weights):
        state = read_weights(weights)
    elif is_trained(weights):
        trained = read_trained_network(backbone, weights)
        _fill(backbone, trained.state, f"model.weights {trained.checkpoint}", name)
        head = take_rows(backbone, trained, class_names)
        rank_zero_info(f"model.weights {trained.checkpoint}: network taken, {head}.")
        return
    elif is_url(weights):
        state = read_weights(fetch(weights, "model.weights"))
    elif name.startswith(TIMM):
        state = _download_timm(backbone, name, weights)
    else:
        state = _download_torchvision(backbone, name, weights)
    _fill(backbone, state, f"model.weights {weights}", name)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a file of weights, without running any code that it may hold.

    Args:
        path: A ``.safetensors`` file or a state dict saved by ``torch.save``, bare or under the key ``state_dict``.

    Returns:
        The tensors by name.

    Raises:
        MisconfigurationException: If the file is missing, damaged or no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise MisconfigurationException(f"model.weights is {path}, but there is no such file.")
    content: Any
    try:
        if path.suffix.lower() == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises whatever damaged bytes lead to, an IndexError for instance
        raise MisconfigurationException(
            f"model.weights is {path}, which is damaged or no plain file of weights ({type(error).__name__})."
        ) from error
    if isinstance(content, dict):
        content = content.get("state_dict", content.get("model", content))
    if not isinstance(content, dict) or not any(isinstance(value, Tensor) for value in content.values()):
        raise MisconfigurationException(f"model.weights is {path}, which holds no state dict (tensors by name).")
    return {str(key).removeprefix("module."): value for key, value in content.items() if isinstance(value, Tensor)}


def _download_torchvision(backbone: Backbone, name: str, weights: str) -> dict[str, Tensor]:
    published = get_model_weights(name)
    try:
        entry = published[weights]
    except KeyError:
        names = [*published.__members__]
        raise MisconfigurationException(
            f"model.weights is {weights!r}, but {name} has {', '.join(names)}, and takes a file (.pth, .safetensors, "
            f".ckpt), the folder of a run, or null.{did_you_mean(weights, names)}"
        ) from None
    try:
        state: dict[str, Tensor] = entry.get_state_dict(progress=True, check_hash=True)
    except (URLError, OSError) as error:
        raise MisconfigurationException(
            f"Can't download model.weights {weights} of {name} ({error}): check the network, or give a local file by "
            "--model.weights FILE, or train from scratch by --model.weights null."
        ) from error
    backbone.mean, backbone.std = published_statistics(name, entry)
    return state


def _download_timm(backbone: Backbone, name: str, weights: str) -> dict[str, Tensor]:
    import timm

    if weights != "DEFAULT":
        raise MisconfigurationException(
            f"model.weights is {weights!r}, but {name} takes DEFAULT, a file (.pth, .safetensors, .ckpt), the folder "
            "of a run, or null; another set of timm's is written into the name: timm/NAME.TAG."
        )
    size = getattr(getattr(backbone.network, "patch_embed", None), "img_size", None)  # to which timm fits positions
    options = {} if size is None else {"img_size": size}
    try:
        try:
            published = timm.create_model(name.removeprefix(TIMM), pretrained=True, **options)
        except RuntimeError:  # timm fits positions of some families only; of others, what doesn't fit is named below
            published = timm.create_model(name.removeprefix(TIMM), pretrained=True)
        state: dict[str, Tensor] = published.state_dict()
    except Exception as error:  # timm and the hub's client raise many kinds
        raise MisconfigurationException(
            f"Can't download model.weights {weights} of {name} ({type(error).__name__}): check the network, or give a "
            "local file by --model.weights FILE, or train from scratch by --model.weights null."
        ) from error
    return state


def _fill(backbone: Backbone, state: dict[str, Tensor], source: str, name: str) -> None:
    """Load everything but the head, and accept no other gap."""
    own = backbone.network.state_dict()
    head = {key for key in own if key.startswith(tuple(f"{name}." for name in backbone.heads))}
    embedding = own.get("encoder.pos_embedding")
    if embedding is not None and "encoder.pos_embedding" in state:
        grid = round((embedding.shape[1] - 1) ** 0.5)
        patch: Any = backbone.network.patch_size
        state = dict(interpolate_embeddings(grid * patch, patch, OrderedDict(state)))
    fitting = {key: value for key, value in state.items() if key in own and key not in head}
    optional = {key for key in own if key.endswith("num_batches_tracked")}
    missing = sorted(set(own) - head - set(fitting) - optional)
    misshapen = sorted(key for key, value in fitting.items() if value.shape != own[key].shape)
    if missing or misshapen:
        reason = (
            f"{len(missing)} of {len(own)} tensors are missing, {missing[0]} first"
            if missing
            else f"{misshapen[0]} has shape {[*state[misshapen[0]].shape]} instead of {[*own[misshapen[0]].shape]}"
            + ", which depends on data.image_size" * ("pos_embed" in misshapen[0])
        )
        raise MisconfigurationException(f"{source} don't fit model.backbone {name}: {reason}.")
    if not all(bool(torch.isfinite(value).all()) for value in fitting.values() if value.is_floating_point()):
        raise MisconfigurationException(f"{source} hold values that are not finite.")
    backbone.network.load_state_dict(fitting, strict=False)
