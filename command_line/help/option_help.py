"""The last tier of help: one option, or all of them."""

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from command_line.arguments.other_names import option_meant
from runs.suggestions import did_you_mean

TEXTS = Path(__file__).parent / "texts"
SCHEMA = Path(__file__).parents[2] / "configs/schema.json"
ALL = "all"
SWITCHES = {  # which are taken out before the parser sees the options
    "trusted_only": "refuse a config that names classes beyond those of this project, Lightning, torch, torchvision, "
    "torchmetrics, albumentations and timm, before anything is imported",
}
WIDTH = 100
_COLUMN = 30


def entry(name: str, text: str) -> Iterable[str]:
    """Lay out an option.

    Args:
        name: Its name.
        text: What it means.

    Yields:
        Lines: the name beside the text.
    """
    option = f"  --{name}"
    wrapped = textwrap.wrap(text, WIDTH - _COLUMN) or [""]
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
            lines += entry(name, f"{option['description'].replace('`', '')} ({_kind(option)})")
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
        return "\n".join([*entry(wanted, SWITCHES[wanted]), ""])
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
    lines = [f"--{name}", *(f"  {line}" for line in textwrap.wrap(option["description"].replace("`", ""), WIDTH - 2))]
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
