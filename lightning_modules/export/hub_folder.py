"""Writes a classifier as a folder that model hubs and timm read."""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from safetensors.torch import load, save
from torch import Tensor, nn

from lightning_modules.image_classifier import ImageClassifier
from lightning_modules.networks import build_backbone
from lightning_modules.networks.backbones import TIMM, torchvision_arguments

WEIGHTS = "model.safetensors"


def hub_files(
    model: ImageClassifier, size: int, temperature: float, scores: Mapping[str, float], place: str | None = None
) -> dict[str, bytes]:
    """Write weights, configuration and model card.

    The head's weights are divided by the temperature, so that its softmax is calibrated wherever it is loaded.

    Args:
        model: The classifier.
        size: Side of evaluated images in pixels.
        temperature: What its logits are divided by.
        scores: What it has reached, by logged name.
        place: Where the data lie that it was tested on; None for those of its run.

    Returns:
        Contents by file name: ``model.safetensors``, ``config.json`` (as timm's) and ``README.md``.

    Raises:
        MisconfigurationException: If other programs don't know the network's head or pooling.
    """
    backbone = str(model.hparams["backbone"])
    own = {"cosine_scale": "cosine classifier", "gem_power": "generalised mean"}
    for parameter, name in own.items():
        if model.hparams.get(parameter) is not None:
            raise MisconfigurationException(
                f"timm and torchvision know no {name} (model.{parameter}): export with --format onnx or torch."
            )
    built = build_backbone(backbone, len(model.class_names), model.hparams["image_size"])
    state = {name: _plain(tensor) for name, tensor in model.network.state_dict().items()}
    for name in state:
        if name.startswith(tuple(f"{head}." for head in built.heads)):
            state[name] /= temperature
    mean, std = (list(map(float, values.flatten())) for values in (model.normalize.mean, model.normalize.std))
    config = {
        "architecture": backbone.removeprefix(TIMM).partition(".")[0],
        "num_classes": len(model.class_names),
        "label_names": model.class_names,
        "model_args": {"img_size": model.hparams["image_size"]} if built.sized else {},
        "pretrained_cfg": {
            "input_size": [3, size, size],
            "mean": mean,
            "std": std,
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "interpolation": "bilinear",
            "num_classes": len(model.class_names),
        },
    }
    return {
        WEIGHTS: save(state, {"format": "pt"}),
        "config.json": (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode(),
        "README.md": _card(model, config, scores, place).encode(),
    }


def _plain(tensor: Tensor) -> Tensor:
    values = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return values.float() if values.is_floating_point() else values


def network_of(files: Mapping[str, bytes], model: ImageClassifier) -> nn.Module:
    """Rebuild the network from a folder's weights, to check that nothing is missing.

    Args:
        files: What ``hub_files`` returned.
        model: The classifier that they are of.

    Returns:
        The network in evaluation mode.
    """
    state: dict[str, Tensor] = load(files[WEIGHTS])
    with torch.random.fork_rng(devices=[]):
        built = build_backbone(str(model.hparams["backbone"]), len(model.class_names), model.hparams["image_size"])
    built.network.load_state_dict(state)
    return built.network.eval()


def _card(model: ImageClassifier, config: Mapping[str, Any], scores: Mapping[str, float], place: str | None) -> str:
    backbone, size = str(model.hparams["backbone"]), config["pretrained_cfg"]["input_size"][1]
    library = "timm" if backbone.startswith(TIMM) else "torchvision"
    lines = [f"| {name} | {value:.4f} |" for name, value in scores.items() if not name.endswith("/classes")]
    title = f"score on {PurePath(place).name}, other data than it was trained with" if place else "score"
    table = [f"| {title} | |", "|---|---|", *lines] if lines else ["It hasn't been tested."]
    if library == "timm":
        usage = ['network = timm.create_model("local-dir:FOLDER", pretrained=True).eval()  # or hf-hub:USER/NAME']
    else:
        arguments = {
            "num_classes": config["num_classes"],
            **torchvision_arguments(backbone, model.hparams["image_size"]),
        }
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        usage = [
            f'network = torchvision.models.get_model("{backbone}", {given}).eval()',
            f'network.load_state_dict(safetensors.torch.load_file("FOLDER/{WEIGHTS}"))',
        ]
    steps = f"resized to {size}x{size} pixels whatever their shape, scaled to [0, 1] and normalised by `mean` and `std`"
    return "\n".join(
        [
            "---",
            f"library_name: {library}",
            "pipeline_tag: image-classification",
            "tags: [image-classification, fine-grained]",
            "---",
            f"# {backbone}, {config['num_classes']} classes",
            "",
            f"Trained by transfer learning. Give it RGB pictures, {steps} of `config.json`; "
            "its `label_names` are the classes in the order of the outputs. The softmax of the outputs is calibrated "
            "on validation pictures.",
            "",
            *table,
            "",
            "```python",
            *usage,
            "```",
            "",
        ]
    )
