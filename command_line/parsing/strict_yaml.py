"""YAML that refuses repeated keys; YAML itself would silently drop the first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader
from jsonargparse._util import config_load_stack
from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.commands import shown

MODE = "strict_yaml"  # of jsonargparse's parsers
_MERGE = "tag:yaml.org,2002:merge"
_load = get_loader("yaml")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RepeatedKeyError(MisconfigurationException):
    """A key that stands twice, where the file can be named only by who knows the working directory.

    Args:
        files: The files that were being read: their real paths, and what they were called.
        problem: What is wrong, to follow the name of the file.
    """

    def __init__(self, files: tuple[tuple[str, str], ...], problem: str) -> None:
        super().__init__(problem)
        self.files = files

    def __str__(self) -> str:
        """Name the file, as it was typed where that leads to it."""
        if not self.files:
            return f"What was typed {self.args[0]}"
        real, written = self.files[-1]
        return f"{written if Path(written).resolve() == Path(real) else shown(Path(real))} {self.args[0]}"


def load_strictly(text: str) -> Any:
    """Read YAML: a file that an option or another file names, or the value of an option.

    Args:
        text: The YAML.

    Returns:
        What it holds.

    Raises:
        RepeatedKeyError: If a key stands twice in a section, or a section would drop a key with dots before it.
    """
    content = _load(text)
    if not isinstance(content, dict | list):
        return content
    for name, first, second in repeated_keys(text):
        where = f"lines {first} and {second}" if first != second else f"line {first}"
        raise RepeatedKeyError(
            config_load_stack.get(),
            f"has {name} twice, in {where}: the first would be dropped, so put both into one or remove one of them",
        )
    return content


def repeated_keys(text: str) -> Iterator[tuple[str, int, int]]:
    """Find the keys that stand twice in one section. Merge keys (``<<``) and aliases repeat nothing.

    Args:
        text: YAML of one document.

    Yields:
        The key with those of the sections around it, separated by dots, and its two lines, counted from 1.
    """
    lines: dict[str, int] = {}
    dotted: list[str] = []
    walked: set[int] = set()  # aliases bring nodes back, a thousand times or in circles
    left: list[tuple[str, yaml.Node | None, int]] = [("", yaml.compose(text, Loader=_Loader), 0)]
    while left:
        path, node, line = left.pop()
        if line:
            # jsonargparse takes a.b for b in a, and lets a section that follows take its place
            lost = [path, *(other for other in dotted if other.startswith(f"{path}."))]
            yield from ((name, lines[name], line) for name in lost if name in lines)
            lines[path] = line
        if id(node) in walked:
            continue
        walked.add(id(node))
        inner: list[tuple[str, yaml.Node | None, int]] = []
        if isinstance(node, yaml.SequenceNode):
            inner = [(f"{path}[{place}]", item, 0) for place, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    name = f"{path}.{key.value}" if path else key.value
                    dotted += [name] if "." in key.value else []
                    inner.append((name, value, key.start_mark.line + 1))
        left += reversed(inner)


set_loader(MODE, load_strictly, (yaml.YAMLError,))
