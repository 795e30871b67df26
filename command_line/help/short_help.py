"""Help in tiers: all commands, the common options of one, and one option."""

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from command_line.arguments.options import REFUSED
from command_line.arguments.other_names import option_meant
from runs.suggestions import did_you_mean

TEXTS = Path(__file__).parent / "texts"
SCHEMA = Path(__file__).parents[2] / "configs/schema.json"
ALL = "all"
_PURPOSES = {
    "Train": {
        "fit": "begin a run, or continue one",
        "repeat": "train with several seeds or on several folds",
        "sweep": "search for the best options with Optuna",
    },
    "Evaluate and use": {
        "validate": "score a run on its validation images",
        "test": "score a run on its test images; writes report.html",
        "predict": "classify photographs",
        "explain": "draw where the network looked",
        "app": "open a local page to try a run",
        "export": "write ONNX, torch.export, a folder for hubs or a static web page",
        "compare": "compare tested runs, picture by picture",
        "runs": "list all runs with their scores and settings",
    },
    "Look at the data": {
        "check": "find everything that is wrong with a data set",
        "preview": "draw training images and their augmented views",
        "doubts": "find labels that are probably wrong",
        "convert": "write a data set as chunks of many images",
    },
}
_COMMON = {
    "config": "file with options; may be given several times, the last one wins",
    "name": "name of the run (default: version_0, version_1, ...)",
    "experiment": "folder of the run below logs",
    "logs": "folder of all runs",
    "seed_everything": "seed of weights, shuffling, augmentation and dropout",
    "data.root": "folder of the data set, or a table",
    "data.image_size": "side of the square training images in pixels",
    "data.batch_size": "images per step over all devices together",
    "data.num_workers": "loading processes per device; null chooses",
    "data.on_error": "raise or skip: what to do about an image that can't be read",
    "model.backbone": "a network of torchvision (resnet50), or timm/NAME",
    "model.weights": "published weights (DEFAULT), a file, a URL, a run, or null for random ones",
    "model.optimizer": "adamw or sgd",
    "model.learning_rate": "peak learning rate of the head",
    "model.mixup_alpha": "mix pairs of training images; 0 doesn't",
    "unfreezing.every_n_epochs": "train the head first, and unfreeze a further group of layers so often",
    "ema.decay": "average the weights, 0.999 for instance",
    "early_stopping.patience": "validations without a better score before training stops",
    "tta.enabled": "score test-time augmentation beside the plain pass",
    "report.pictures": "pictures that a section of report.html shows",
    "trainer.max_epochs": "number of epochs",
    "trainer.accelerator": "cpu, gpu or auto",
    "trainer.devices": "how many devices, or auto",
    "trainer.precision": "32-true, bf16-mixed, 16-mixed or auto",
}
SWITCHES = {  # which are taken out before the parser sees the options
    "trusted_only": "refuse a config that names classes beyond those of this project, Lightning, torch, torchvision, "
    "torchmetrics, albumentations and timm, before anything is imported",
}
_OF_DATA = ("config", "data.")  # what counts for commands that look at the data alone
_OF_PREDICTION = (
    *(*_OF_DATA, "name", "experiment", "logs"),
    *("trainer.accelerator", "trainer.devices", "trainer.precision"),
)
_COUNTS = {
    **dict.fromkeys(("check", "preview", "convert"), _OF_DATA),
    **dict.fromkeys(("validate", "test"), (*_OF_PREDICTION, "tta.", "report.")),
    "predict": _OF_PREDICTION,
}
_FURTHER = {"predict": {"tta.predict": "average the answers over views of each photograph; false: the plain image"}}
_WIDTH = 100
_COLUMN = 30


def overview() -> str:
    """List the commands.

    Returns:
        The text, with ``{program}`` for the name of the program.
    """
    lines = ["usage: {program} COMMAND [RUN] [options]", ""]
    for purpose, commands in _PURPOSES.items():
        lines += [f"{purpose}:", *(f"  {name:<12}{text}" for name, text in commands.items()), ""]
    more = (
        "{program} COMMAND --help lists the common options of a command, --help all lists all of them,\n"
        "--help NAME explains one: --help data.batch_size."
    )
    shells = 'eval "$(carspotter completion bash)" completes them with the tab key; also zsh and tcsh.'
    return "\n".join([*lines, more, shells, ""])


def purpose_of(command: str) -> str:
    """Say in a few words what a command does.

    Args:
        command: The command.

    Returns:
        A clause.
    """
    return next(texts[command] for texts in _PURPOSES.values() if command in texts)


def short_help(command: str, words: str, own: Mapping[str, str]) -> str:
    """Describe a command with its own and the common options.

    Args:
        command: The command.
        words: What stands before the options.
        own: Options that it alone has, and what they mean.

    Returns:
        The text, with ``{program}`` for the name of the program.
    """
    purpose = purpose_of(command)
    lines = [f"usage: {{program}} {command} {words}[options]", "", f"{purpose[0].upper()}{purpose[1:]}.", ""]
    if own:
        lines += ["Options of this command:", *(line for item in own.items() for line in _entry(*item)), ""]
    lines.append("Common options:")
    counts = _COUNTS.get(command, "")
    others = {*own, *REFUSED.get(command, ())}
    common = {name: text for name, text in _COMMON.items() if name not in others and name.startswith(counts)}
    lines += [line for item in (common | _FURTHER.get(command, {})).items() for line in _entry(*item)]
    more = (
        f"{{program}} {command} --help all lists all options, and --help NAME explains one: --help data.batch_size. "
        "--print_config shows what a command would use, --trusted_only refuses configs with classes of other packages."
    )
    return "\n".join([*lines, "", *textwrap.wrap(more, _WIDTH), ""])


def _entry(name: str, text: str) -> Iterable[str]:
    option = f"  --{name}"
    wrapped = textwrap.wrap(text, _WIDTH - _COLUMN) or [""]
    yield f"{option:<{_COLUMN}}{wrapped[0]}"
    yield from (" " * _COLUMN + line for line in wrapped[1:])


def data_help() -> str:
    """Describe the options of data sets, which the parser doesn't know until one is chosen.

    Returns:
        The text, to stand after that of all other options.
    """
    lines = ["", "Options of the data; --data.help CLASS lists those of one class:"]
    for name, option in all_options().items():
        if name.startswith("data."):
            lines += _entry(name, f"{option['description'].replace('`', '')} ({_kind(option)})")
    return "\n".join([*lines, ""])


def options_of(command: str) -> dict[str, str]:
    """Read the names of a command's options, and what their values are (``simple_values.kind_of``).

    Args:
        command: The command.

    Returns:
        Kinds by name; nothing for a command that there isn't.
    """
    file = TEXTS / f"{command}-options.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {name: kind for name, _, kind in (line.partition(" ") for line in lines)}


def all_options() -> dict[str, dict[str, Any]]:
    """Read the options of ``fit`` from the stored schema.

    Returns:
        Type, default and description by name.
    """
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = {}
    for name, value in schema["properties"].items():
        inner = schema["$defs"]["data"]["properties"] if name == "data" else value.get("properties")
        found |= {f"{name}.{option}": text for option, text in inner.items()} if inner else {name: value}
    return found


def option_help(name: str, command: str) -> str:
    """Explain one option, or all of a section.

    Args:
        name: What was typed, with or without leading dashes.
        command: The command, which may have options of its own.

    Returns:
        The text, or that there is no such option, with the nearest name.
    """
    options, wanted = all_options(), name.lstrip("-")
    chosen = [full for full in options if full == wanted or full.startswith(f"{wanted}.")]
    if wanted in SWITCHES:
        return "\n".join([*_entry(wanted, SWITCHES[wanted]), ""])
    if not chosen and (own := _own_entry(command, wanted)):
        return own
    if not chosen:
        chosen = [full for full in options if full.rpartition(".")[2] == wanted]
    if not chosen:
        meant = option_meant(wanted, set(options))
        return (
            f"There is no option {wanted}.{f' Did you mean {meant!r}?' if meant else did_you_mean(wanted, options)}\n"
        )
    return "\n".join(_explained(full, options[full]) for full in chosen)


def _own_entry(command: str, name: str) -> str | None:
    """Find an option of one command alone in its full text."""
    file = TEXTS / f"{command}.txt"
    entry = re.compile(rf"^  (?:-\w[^\n]*, )?--{re.escape(name)}(?!\S)[^\n]*\n(?:    [^\n]*\n)*", re.MULTILINE)
    found = entry.search(file.read_text(encoding="utf-8")) if file.exists() else None
    return found[0] if found else None


def _explained(name: str, option: Mapping[str, Any]) -> str:
    lines = [f"--{name}", *(f"  {line}" for line in textwrap.wrap(option["description"].replace("`", ""), _WIDTH - 2))]
    return "\n".join([*lines, f"  {_kind(option)}", ""])


def _kind(option: Mapping[str, Any]) -> str:
    default = f"; default: {json.dumps(option['default'])}" if "default" in option else ""
    return f"{type_text(option)}{default}"


def type_text(option: Mapping[str, Any]) -> str:
    """Describe the type of an option.

    Args:
        option: Its schema.

    Returns:
        For example ``integer or null``.
    """
    if "enum" in option:
        return ", ".join(map(str, option["enum"]))
    if "anyOf" in option:
        return " or ".join(map(type_text, option["anyOf"]))
    kind = option.get("type", "a class, or its name")
    if kind == "array":
        return f"list of {type_text(option['items'])}"
    return kind if isinstance(kind, str) else " or ".join(kind)
