"""Refuses words where an option takes a number, true or false, or one of some words, before PyTorch is imported."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

_SIMPLE = {"int": int, "float": float, "bool": bool}
_SPOKEN = {"int": "an integer", "float": "a number", "bool": "true or false", "str": "text", "list": "a list",
    "tuple": "a list", "Iterable": "a list", "Sequence": "a list", "dict": "a mapping", "path": "a file that exists",
    "class": "the import path of a class", "Path": "a path", "NoneType": "null"}  # fmt: skip
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")
_FRACTION = re.compile(r"\d+\.\d*[1-9]")
_MEANT_BY_YAML = {"null", "none", "nan", "inf", "infinity", "true", "false", "yes", "no", "on", "off", "y", "n"}


def kind_of(typehint: Any) -> str:
    """Describe a type in a word without blanks.

    Args:
        typehint: The type.

    Returns:
        ``int``, ``float``, ``bool``, words as ``'a','b'``, or several of them with ``|`` between, with ``?`` at the end
        where null is allowed; nothing for all other types.
    """
    parts = get_args(typehint) if get_origin(typehint) in (Union, type(int | str)) else (typehint,)
    kinds = [_simple(part) for part in parts if part is not type(None)]
    return "|".join(kinds) + "?" * (type(None) in parts) if all(kinds) else ""


def _simple(part: Any) -> str:
    words = get_args(part) if get_origin(part) is Literal else ()
    if words and all(isinstance(word, str) and re.fullmatch(r"[\w-]+", word) for word in words):
        return ",".join(map(repr, words))
    return next((name for name, simple in _SIMPLE.items() if part is simple), "")


def requirement(key: str, value: str | None, kinds: Sequence[str]) -> str:
    """Say that a value isn't what its option takes.

    Args:
        key: The option's name.
        value: The value as it was typed, or as Python shows it; None leaves it out.
        kinds: Everything that it takes: names of types, and words as ``'a','b'``.

    Returns:
        One sentence without a full stop.
    """
    words = [word for kind in kinds if kind not in _SPOKEN for word in kind.split(",")]
    taken = [_SPOKEN[kind] for kind in kinds if kind in _SPOKEN and not (kind == "int" and "float" in kinds)]
    if words:
        taken.insert(0, f"one of {', '.join(words)}" if len(words) > 2 else " or ".join(words))
    *most, last = dict.fromkeys(sorted(taken, key=lambda kind: kind == "null"))
    expected = f"{', '.join(most)} or {last}" if most else last
    return f"{key} has to be {expected}" if value is None else f"{key} is {value}: it has to be {expected}"


def wrong_values(options: Sequence[Sequence[str]], kinds: Mapping[str, str]) -> list[str]:
    """Find values that can't be right.

    Args:
        options: The options that were typed, each ``--name=value`` or ``--name`` and a value.
        kinds: What ``kind_of`` says of each option.

    Returns:
        What the parser would say of each; a value that may be right isn't among them.
    """
    found = []
    for typed in options:
        name, sign, value = typed[0].removeprefix("--").partition("=")
        value = value if sign else typed[1] if len(typed) == 2 else ""
        kind = kinds.get(name, "")
        taken = kind.removesuffix("?").split("|")
        if kind and _is_wrong(value, taken):
            found.append(f"{requirement(name, value, taken + ['NoneType'] * kind.endswith('?'))}.")
    return found


def _is_wrong(value: str, kinds: Sequence[str]) -> bool:
    words = {word.strip("'") for kind in kinds for word in kind.split(",") if word not in _SIMPLE}
    if _FRACTION.fullmatch(value):
        return [*kinds] == ["int"]
    return bool(_WORD.fullmatch(value)) and value.lower() not in _MEANT_BY_YAML and value not in words
