"""What a folder of trainings is for, written down so that trainings of two kinds are never taken for one."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.whole_file import write_atomically

_FILE = "plan.json"
_NAMED = 3  # differences in a message
_LONGEST = 60  # characters of a value in it
_DISTRIBUTION = re.compile(r"(?:Categorical|Float|Int)Distribution\((.*)\)", re.DOTALL)  # of Optuna
_BY_NAME = ("settings", "space", "members")  # parts with names of their own, which a message can give


class _Difference(NamedTuple):
    name: str
    before: Any
    now: Any


def keep_plan(plan: Mapping[str, Any], folder: Path) -> None:
    """Write down what a folder is for.

    Args:
        plan: All that decides what is trained there: ``options`` as they were typed, ``settings``, the values that
            they and the configs come down to, a search's ``space``; more ``members`` may follow later.
        folder: The folder.

    Raises:
        MisconfigurationException: If it is for something else.
    """
    file = folder / _FILE
    before = _read(file)
    if before is None and folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        before = _read(file)  # another process of the same search may have begun meanwhile
        if before is None:
            raise MisconfigurationException(
                f"--output is {folder}, which holds something else already: choose another folder."
            )
    if before is None:
        _write(plan, file)
        return
    if differing := [*_differences(before, plan)]:
        named = "; ".join(map(_shown, differing[:_NAMED]))
        more = f"; and {len(differing) - _NAMED} more" * (len(differing) > _NAMED)
        raise MisconfigurationException(
            f"{folder} holds trainings with other options ({file}): {named}{more}. Repeat the command as it was, or "
            "choose another --output."
        )
    members = {**before.get("members", {}), **plan.get("members", {})}
    whole = {"settings": plan["settings"], **before, **({"members": members} if members else {})}
    if whole != before:
        _write(whole, file)


def _differences(before: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[_Difference]:
    """Compare two plans: by what the options come down to, or, if an older version has written one, as they stand."""
    for part in _BY_NAME:
        known, wanted = before.get(part, {}), _plain(plan.get(part, {}))
        same = part == "space"  # else either may have more: members that follow, options of another version
        for name in known.keys() | wanted.keys() if same else (name for name in wanted if name in known):
            if known.get(name) != wanted.get(name):
                yield _Difference(name, known.get(name), wanted.get(name))
    if "settings" not in before and before.get("options") != plan["options"]:
        yield _Difference("what was typed", " ".join(before.get("options") or []), " ".join(plan["options"]))


def _shown(difference: _Difference) -> str:
    before, now = (
        value if isinstance(value, str) else json.dumps(value) for value in (difference.before, difference.now)
    )
    before, now = (match[1] if (match := _DISTRIBUTION.fullmatch(text)) else text for text in (before, now))
    same = next((place for place, pair in enumerate(zip(before, now, strict=False)) if len({*pair}) > 1), 0)
    return f"{difference.name} was {_cut(before, same)} and is {_cut(now, same)}"


def _cut(text: str, same: int) -> str:
    """Cut a long value out around where it begins to differ from another."""
    begin = min(max(0, same - _LONGEST // 3), max(0, len(text) - _LONGEST))
    cut = text[begin : begin + _LONGEST]
    return f"{'...' * (begin > 0)}{cut}{'...' * (begin + len(cut) < len(text))}"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MisconfigurationException(f"Can't read {file}: {error}. Choose another --output.") from error
    if not isinstance(content, dict):
        raise MisconfigurationException(f"{file} is no plan of trainings: choose another --output.")
    return content


def _plain(value: Any) -> Any:
    """Return a value as it comes back from a file."""
    return json.loads(json.dumps(value))


def _write(plan: Mapping[str, Any], file: Path) -> None:
    write_atomically(file, json.dumps(plan, indent=1) + "\n")
