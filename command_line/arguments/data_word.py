"""A data set that is named in the place of options: ``fit PHOTOS`` begins a run with the config that suits it."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.arguments.config_names import SUFFIXES, config_meant, installed_config
from command_line.arguments.options import CONFIG, value_of, values_of
from command_line.arguments.paths import expand
from datamodules.files.file_search import holds_images
from datamodules.files.folder_entries import holds_runs
from datamodules.files.ignored_names import reason_by_name
from datamodules.layouts.devkit import recognise_combined, recognise_devkit
from datamodules.layouts.recognise import places
from datamodules.layouts.table_file import TABLE_SUFFIXES
from datamodules.remote.storage import Storage, is_remote
from datamodules.streaming import CLASSES

_OWN = "configs/own_photos.yaml"
_CARS = "configs/stanford_cars.yaml"
_CHUNKS = "configs/streaming.yaml"
_FOLDERS = 10_000  # to look at before one counts as without data


def holds_data(path: str) -> bool:
    """Check whether a path looks like a data set rather than a run; ``check`` tells whether it is a sound one.

    Args:
        path: A file, a folder, or the URL of object storage.

    Returns:
        True for object storage, tables, and folders with a picture, a table or chunks.
    """
    place = Path(path)
    if is_remote(path) or (place.is_file() and place.suffix.lower() in TABLE_SUFFIXES):
        return True
    wanted = (".heic", ".heif", *TABLE_SUFFIXES)  # even where no decoder of these is installed
    if not place.is_dir() or holds_runs(path):
        return False
    for folder, names in itertools.islice(_names(place), _FOLDERS):
        if any(name.lower().endswith(wanted) for name in names):
            return True
        with suppress(MisconfigurationException):  # it can't be listed
            if names and holds_images(folder):
                return True
    return False


def data_options(command: str, path: str, options: Sequence[str]) -> list[str]:
    """Write the options that train on a data set, or look at it.

    Args:
        command: The command.
        path: The data set.
        options: The other options as they were typed.

    Returns:
        All options: unless one of the configs describes data itself, first the configs that suit the data set.

    Raises:
        MisconfigurationException: If the data set is named twice.
    """
    if value_of(options, "--data.root", "--data.init_args.root") is not None:
        raise MisconfigurationException(f"{command} takes the data set as {path} or by --data.root: leave one out.")
    configs = (
        [] if any(_describes_data(config) for config in values_of(options, *CONFIG) if config) else _suitable(path)
    )
    first = [f"--config={installed_config(config) or config}" for config in configs]
    return [*first, *options, f"--data.root={path}"]


def options_for_words(command: str, words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Replace the data set that was named, if one was, by options.

    Args:
        command: A command that needs no run.
        words: What was typed before the options.
        options: The options as they were typed.

    Returns:
        All options.

    Raises:
        MisconfigurationException: If the words aren't one data set, or it is named twice.
    """
    refuse_empty(command, words)
    if not words:
        return [*options]
    if len(words) > 1:
        raise MisconfigurationException(
            f"{command} takes one data set, but there are {len(words)}: {', '.join(words)}."
        )
    path = words[0] if is_remote(words[0]) else expand(words[0], "the data set")
    if not holds_data(path):
        found = "holds no photographs and no table" if Path(path).exists() else "doesn't exist"
        meant = None if Path(path).is_dir() else config_meant(path)
        hint = f" Did you mean --config {meant}?" if meant else ""
        raise MisconfigurationException(f"{path} {found}: {command} takes the folder of a data set, or a table.{hint}")
    return data_options(command, path, options)


def refuse_empty(command: str, words: Sequence[str]) -> None:
    """Refuse a word of no letters, which would name the folder that the command is typed in.

    Args:
        command: The command.
        words: What was typed behind it.

    Raises:
        MisconfigurationException: If there is one.
    """
    if "" in words:
        raise MisconfigurationException(
            f"{command} was given an empty name, as of a variable that isn't set: name what it means, or leave it out."
        )


def _suitable(path: str) -> list[str]:
    place = Path(path)
    if is_remote(path):
        return [_OWN, _CHUNKS] if Storage(path).exists(CLASSES) else [_OWN]
    if (place / CLASSES).is_file():
        return [_OWN, _CHUNKS]
    cars = any(recognise_devkit(inner) or recognise_combined(inner) for inner in places(place))
    return [_CARS] if cars else [_OWN]


def _describes_data(config: str) -> bool:
    file = Path(config)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8") if file.suffix in SUFFIXES else config)
    except (OSError, ValueError, yaml.YAMLError):  # which the parser reports
        return False
    data = content.get("data") if isinstance(content, dict) else None
    return isinstance(data, dict) and ("class_path" in data or "root" in data)


def _names(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Name the files of a folder and of each of those below it, in which links may lead in circles."""
    for inner, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not reason_by_name(name))
        yield inner, [name for name in files if not reason_by_name(name)]
