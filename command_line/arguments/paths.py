"""Expands ``~`` and variables in paths: shells leave them alone in ``--data.root=~/cars``, and so do files."""

import os
import re
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.loggers import logger_configs

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_OF_COMMANDS = ("logs", "output", "folder", "ckpt_path", "unknown", "space")
_OF_SECTIONS = {
    "trainer": ("default_root_dir",),
    "model": ("weights",),
    "distillation": ("teacher",),
    "predictions": ("file",),
    "report": ("unknown",),
}
_OF_DATA = ("root", "exclude", "corrected_labels", "predict_dir", "source", "chunks", "cache_dir")


def expand(path: str, option: str) -> str:
    """Expand the home folder and environment variables.

    A path that exists as it is written isn't changed: a folder may be called ``$HOME``.

    Args:
        path: A path, a pattern or the URL of a file.
        option: What it was given for, for the message.

    Returns:
        The path.

    Raises:
        MisconfigurationException: If a variable isn't set, or empty.
    """
    if "://" in path:  # also of object storage
        return path
    if not os.path.lexists(path.partition("/")[0]):
        path = os.path.expanduser(path)  # noqa: PTH111 - Path's own refuses ~nobody
    position = 0
    while (found := _VARIABLE.search(path, position)) is not None:
        name = found[1] or found[2]
        component = path.find("/", found.end())
        if os.path.lexists(path if component < 0 else path[:component]):
            position = found.end()
            continue
        value = os.environ.get(name)
        if not value:
            raise MisconfigurationException(
                f"{option} is {path}, but the environment has no variable {name}: set it (export {name}=...), or write "
                "the path out."
            )
        path = path[: found.start()] + value + path[found.end() :]
        position = found.start() + len(value)
    return path


def expand_paths(config: Namespace) -> None:
    """Expand the paths of a command's config, so that the config of the run means the same anywhere later.

    Args:
        config: The command's config; changed in place.
    """
    _expand(config, _OF_COMMANDS, "--")
    for section, names in _OF_SECTIONS.items():
        if config.get(section) is not None:
            _expand(config[section], names, f"{section}.")
    if config.get("data") is not None and config.data.get("init_args") is not None:
        _expand(config.data.init_args, _OF_DATA, "data.")
    if config.get("trainer") is not None:
        for arguments in (logger.get("init_args") for logger in logger_configs(config.trainer)):
            _expand(arguments or {}, ("save_dir",), "trainer.logger.init_args.")


def _expand(section: Namespace | dict[str, Any], names: tuple[str, ...], prefix: str) -> None:
    for name in names:
        value: Any = section.get(name)
        if isinstance(value, str) and name == "source":  # which may be several
            section[name] = ",".join(expand(part.strip(), f"{prefix}{name}") for part in value.split(","))
        elif isinstance(value, str):
            section[name] = expand(value, f"{prefix}{name}")
        elif isinstance(value, list):
            section[name] = [expand(item, f"{prefix}{name}") if isinstance(item, str) else item for item in value]
