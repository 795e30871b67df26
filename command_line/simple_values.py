"""Refuses words where an option takes a number, true or false, or one of some words, before PyTorch is imported."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

_SIMPLE = {"int": int, "float": float, "bool": bool}
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
        if kind and _is_wrong(value, kind.removesuffix("?").split("|")):
            expected = [_expected(part) for part in kind.removesuffix("?").split("|")]
            several = len(expected) > 1 or kind.endswith("?")
            said = " ".join(f"Expected a {part}" for part in expected)
            key = name.removeprefix("data.")  # which the parser of the data's class doesn't know
            found.append(f'Parser key "{key}": {said}.' + ("" if several else f" Got value: {value}."))
    return found


def _is_wrong(value: str, kinds: Sequence[str]) -> bool:
    words = {word.strip("'") for kind in kinds for word in kind.split(",") if word not in _SIMPLE}
    if _FRACTION.fullmatch(value):
        return [*kinds] == ["int"]
    return bool(_WORD.fullmatch(value)) and value.lower() not in _MEANT_BY_YAML and value not in words


def _expected(kind: str) -> str:
    return f"<class '{kind}'>" if kind in _SIMPLE else f"typing.Literal[{kind.replace(',', ', ')}]"
