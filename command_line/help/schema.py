"""Describes the options of ``fit`` as a JSON Schema, for editors and for the pages that document them."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import datamodules
from command_line.parsing.strict_parser import StrictParser

_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", type(None): "null"}
_DATA = ("StanfordCarsDataModule", "ImageFolderDataModule", "StreamingDataModule", "ToyCarsDataModule")
_OF_TERMINALS = ("help", "config", "print_config", "trusted_only")


def fit_schema(parser: Any) -> dict[str, Any]:
    """Describe the configs that a parser takes.

    Args:
        parser: That of ``fit``.

    Returns:
        A JSON Schema (draft 2020-12). Values that may be classes are left open.
    """
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Carspotter: options of fit",
        **_section({}),
    }
    for action in parser._actions:
        if action.dest not in (*_OF_TERMINALS, "data") and hasattr(action, "_typehint"):
            *sections, name = action.dest.split(".")
            place = schema
            for section in sections:
                place = place["properties"].setdefault(section, _section({}))
            place["properties"][name] = _value(action)
    classes = [*(f"datamodules.{name}" for name in _DATA), *_DATA]
    schema["properties"]["data"] = {
        "type": "object",
        "properties": {
            "class_path": {"type": "string", "examples": classes[: len(_DATA)], "description": "The data module."},
            "init_args": {"type": "object"},
        },
        "additionalProperties": False,
        "if": {"properties": {"class_path": {"enum": classes}}},
        "then": {"properties": {"init_args": {"$ref": "#/$defs/data"}}},
    }
    schema["$defs"] = {"data": _section(_data_options())}
    return schema


def _section(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _data_options() -> dict[str, Any]:
    """Describe the arguments of all data modules; where they differ, the first one's are taken."""
    found: dict[str, Any] = {}
    owners: dict[str, list[str]] = {}
    for name in _DATA:
        parser = StrictParser()
        parser.add_class_arguments(getattr(datamodules, name), "data")
        for action in parser._actions:
            if action.dest.startswith("data.") and not action.dest.endswith(".help") and hasattr(action, "_typehint"):
                option = action.dest.removeprefix("data.")
                found.setdefault(option, _value(action))
                owners.setdefault(option, []).append(name)
    for option, names in owners.items():
        if len(names) < len(_DATA):
            found[option]["description"] += f" ({', '.join(names)})"
    return found


def _value(action: Any) -> dict[str, Any]:
    text = re.sub(r"`+", "`", " ".join((action.help or "").split()))
    described = {**_of_type(action._typehint), "description": text}
    try:
        json.dumps(action.default)
    except TypeError:
        return described
    return {**described, "default": action.default}


def _of_type(hint: Any) -> dict[str, Any]:
    """Translate a type; nothing for one that configs may name classes for."""
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, type(int | str)):
        kinds = [_of_type(part) for part in parts]
        if not all(kinds):
            return {}
        plain = list(dict.fromkeys(kind["type"] for kind in kinds if kind.keys() == {"type"}))
        others = [kind for kind in kinds if kind.keys() != {"type"}]
        together = [{"type": plain if len(plain) > 1 else plain[0]}] if plain else []
        return {"anyOf": [*together, *others]} if others else together[0]
    if origin in (list, Sequence) and parts and (item := _of_type(parts[0])):
        return {"type": "array", "items": item}
    return {"type": "object"} if origin is dict else {}
