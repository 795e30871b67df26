"""Says what jsonargparse and Albumentations find wrong with a value in the words of an option's user."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_stack

from lightning import LightningDataModule
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.parsing.missing_package import missing_package
from command_line.parsing.simple_values import requirement

FRAME = "Does not validate against any of|Subtypes:|Errors:"  # around what jsonargparse says of each nested type
_KEY = re.compile(r'Parser key "([\w.]+)":\s*')
_FRAME = re.compile(rf"{FRAME}|Given value type:|Not of type Path")
_EXPECTED = re.compile(
    r"Expected a (?:<class '(?:[\w.]*\.)?(?P<type>\w+)'>|typing\.Literal\[(?P<words>[^\]]*)\]"
    r"|(?P<path>path) but (?P<tried>.*) either .*|dot import path (?P<dotted>string): .*?)"
    r"(?:\. Got value: (?P<value>.*))?"
)
_STEP = re.compile(
    r"validation errors? for InitSchema\n(?P<faults>.*?)\n *(?:- |Given value).*?class_path='(?P<step>[\w.]+)'",
    re.DOTALL,
)
_FAULT = re.compile(
    r"((?:^ *[a-z][^\n ]*(?:, \w+[^\n ]*)*\n)?)^ *(.+?) \[type=\w+, input_value=(.*), input_type=\w+\]", re.MULTILINE
)
_GIVEN, _LONGEST = "Given value: ", 80  # characters of a value that is quoted


def in_plain_words(message: str) -> str:
    """Say which option has a value that it doesn't take, and what it takes.

    It is called where jsonargparse reports the mistake: the class whose arguments it reads stands in the stack only.

    Args:
        message: The message, which names Python's types, and of an option of a class the last part alone.

    Returns:
        One sentence for a value of a wrong type; else the message with the name of the class.
    """
    built = _class_being_read()
    key = _KEY.match(message)
    if key is None:
        return message.replace("' is not accepted", f"' of {built.__name__} is not accepted", 1) if built else message
    name, rest = _full_name(key[1], built), message[key.end() :]
    lines = [line.strip().removeprefix("- ") for line in rest.splitlines()]
    found = [(line, _EXPECTED.fullmatch(line)) for line in lines if line and not _FRAME.match(line)]
    values = [line.removeprefix(_GIVEN) for line, _ in found if line.startswith(_GIVEN)]
    kinds = [expected for _, expected in found if expected]
    if not kinds or len(kinds) + len(values) < len(found):
        tried = next((f" is {expected['tried']}" for expected in kinds if expected["path"]), "")
        return f"{name}{tried}: " + "\n".join(line for line, expected in found if not expected or not expected["path"])
    items = [expected for expected in kinds if expected["value"]]
    if items and values:  # of a list
        return requirement(f"an item of {name}", items[0]["value"], [_kind(expected) for expected in items])
    value = (values or [expected["value"] for expected in items] or [""])[-1]
    shown = "null" if value == "None" else value if 0 < len(value) <= _LONGEST else None
    return requirement(name, shown, [_kind(expected) for expected in kinds])


@contextmanager
def readable_mistakes() -> Iterator[None]:
    """Answer in one sentence where a class can't be built from the arguments in a config, or lacks a package.

    Raises:
        MisconfigurationException: Instead of what jsonargparse raises; other errors pass as they are.
    """
    try:
        yield
    except (ImportError, ValueError) as error:
        said = missing_package(error) or _wrong_argument(str(error))
        if said is None:
            raise
        raise said from error


def _wrong_argument(text: str) -> MisconfigurationException | None:
    """Find what Albumentations says of a step's arguments in a text that quotes what each attempt came to."""
    found = _STEP.search(text)
    if found is None:
        return None
    said: dict[str, str] = {}  # one fault an argument, which may be refused by several types
    for name, fault, value in _FAULT.findall(found["faults"]):
        argument = name.strip().partition(".")[0]
        said.setdefault(argument, f"{argument} is {value}: {fault}" if argument else fault)
    return MisconfigurationException(f"{found['step']} can't be built: {'; '.join(said.values())}.")


def _kind(expected: re.Match[str]) -> str:
    words = (expected["words"] or "").replace(", ", ",")
    return expected["type"] or expected["path"] or (expected["dotted"] and "class") or words


def _full_name(key: str, built: type | None) -> str:
    if built is None:
        return key
    return f"data.{key}" if issubclass(built, LightningDataModule) else f"{key} of {built.__name__}"


def _class_being_read() -> type | None:
    for frame, _ in walk_stack(None):
        kind = frame.f_locals.get("val_class") if frame.f_code.co_name == "adapt_class_type" else None
        if isinstance(kind, type):
            return kind
    return None
