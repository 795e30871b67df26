"""What the user typed: a command, perhaps a run, perhaps photographs, and options."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import is_zipfile

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.arguments.config_names import SUFFIXES, config_meant, installed_config, is_config_file
from command_line.arguments.data_word import data_options, holds_data, options_for_words, refuse_empty
from command_line.arguments.options import CONFIG, command_of, files_first, gathered, split_words, value_of, without
from command_line.arguments.paths import expand
from command_line.arguments.relative_paths import data_paths
from command_line.arguments.stored_config import config_from_checkpoint
from command_line.arguments.unknown_run import meant_in_storage, unknown_run
from command_line.remote_runs.places import copy_of, fetched, in_storage
from datamodules.remote.storage import Storage, is_remote
from runs.finding import named_path, run_of
from runs.remote_file import fetch, is_url
from runs.run import CHECKPOINTS, Run
from runs.sharded_checkpoint import is_sharded

RUN_COMMANDS = ("fit", "validate", "test", "predict")
DATA_COMMANDS = ("check", "doubts", "repeat", "sweep", "preview", "convert")
WORDS = {  # what stands before the options, in help
    "fit": "[RUN or DATA] ",
    **dict.fromkeys(("validate", "test"), "[RUN] "),
    **dict.fromkeys(DATA_COMMANDS, "[DATA] "),
    "predict": "[RUN PHOTO...] ",
    "explain": "RUN PHOTO... ",
    "export": "RUN ",
    "app": "RUN ",
    "compare": "RUN RUN... ",
    "runs": "[FOLDER] ",
}
TOOLS = ("explain", "export", "app", "compare", "runs")  # which need neither trainer nor data


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Attributes:
        arguments: The arguments as the parser takes them: what brings a run's config, then the options.
        options: The options as they were typed.
        run: The run that was named, or whose config was given.
        checkpoint: The checkpoint file that was named in the place of a run.
        named: Whether the run was named as such: ``fit`` continues in its folder.
        name: What a new run is to be called, as it was typed; YAML, through which options go, would change some names.
        photographs: What is to be predicted, likewise.
        words: What stands before the options of a command that needs neither trainer nor data.
    """

    arguments: list[str]
    options: tuple[str, ...] = ()
    run: Run | None = None
    checkpoint: Path | None = None
    named: bool = False
    name: str | None = None
    photographs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def has(self, option: str) -> bool:
        """Check whether an option was typed.

        Args:
            option: Its name, with dashes.

        Returns:
            Whether it was.
        """
        return any(typed.partition("=")[0] == option for typed in self.options)


def read_request(arguments: Sequence[str], afterwards: ExitStack) -> Request:
    """Read a command line, and find the run that it names.

    Args:
        arguments: What follows ``train.py``.
        afterwards: Removes the config of a checkpoint that comes without its run, when the command has ended.

    Returns:
        The request.

    Raises:
        MisconfigurationException: If what stands in the place of a run isn't one.
    """
    if arguments and arguments[0] in TOOLS:
        words, options = split_words(arguments[1:])
        sort = value_of(options, "--sort")  # which may begin with a minus, like an option
        if sort is not None:
            options = [*without(options, "--sort"), f"--sort={sort}"]
        return Request([arguments[0], *options], words=tuple(expand(word, "a path") for word in words))
    if not arguments or arguments[0].startswith("-"):
        return Request(list(arguments))
    command, rest = arguments[0], _with_home(files_first(gathered(arguments[1:], "--seeds")))
    command = command_of(command, rest)
    if command not in (*RUN_COMMANDS, *DATA_COMMANDS):
        return Request([command, *rest])
    words, options = split_words(rest)
    if command in DATA_COMMANDS:
        return Request([command, *options_for_words(command, words, options)])
    refuse_empty(command, words)
    words = [expand(word, "a file" if place else "the run") for place, word in enumerate(words)]
    name = value_of(options, "--name")
    if name is not None:  # else the parser misses its value
        options = without(options, "--name")
    if not words:
        return Request([command, *options], tuple(options), run=_run_of_config(options), name=name)
    if len(words) > 1 and command != "predict":
        raise MisconfigurationException(f"{command} takes one run, but there are {len(words)}: {', '.join(words)}.")
    path = _path_of(words[0], _logs(options))
    run = run_of(path)
    place = words[0] if is_remote(words[0]) else str(path)
    if run is None and command == "fit" and in_storage(place) and not Storage(place).exists(""):
        raise MisconfigurationException(
            f"There is neither a run nor a data set in {place}: check the name, or look with your storage's own tools."
            f"{meant_in_storage(place)}"
        )
    if run is None and command == "fit" and holds_data(place):
        options = data_options(command, place, options)
        return Request([command, *options], tuple(options), run=_run_of_config(options), name=name)
    if run is None and path.suffix in SUFFIXES:
        meant = path if path.exists() else config_meant(words[0]) or path
        raise MisconfigurationException(f"{words[0]} doesn't belong to a run: write --config {meant}.")
    file = is_sharded(path) or (path.is_file() and (run is None or path.parent.name == CHECKPOINTS))
    checkpoint = path if file else None
    if run is None and path.is_file() and not is_zipfile(path):
        raise MisconfigurationException(
            f"{words[0]} is neither a run nor a checkpoint: {command} takes one of them first."
        )
    if run is None and checkpoint is None:
        raise MisconfigurationException(unknown_run(words[0], path, command))
    config = None if run is None else run.config
    if config is None:
        config = Path(afterwards.enter_context(TemporaryDirectory())) / "config.yaml"
        config.write_text(config_from_checkpoint(checkpoint, run), encoding="utf-8")
    places = data_paths(run) if run else []
    arguments = [command, f"--config={config}", *places, *options]
    return Request(arguments, tuple(options), run, checkpoint, True, name, tuple(words[1:]))


def run_named(command: str, words: Sequence[str]) -> Path:
    """Find the run that stands first behind a command.

    Args:
        command: The command.
        words: What was typed behind it.

    Returns:
        The folder of a run, or a checkpoint.

    Raises:
        MisconfigurationException: If there is no such run or checkpoint, or none was named.
    """
    if not words:
        raise MisconfigurationException(f"{command} needs a run: give its folder, a checkpoint or its URL.")
    path = _path_of(words[0])
    if run_of(path) is None and not (is_sharded(path) or (path.is_file() and is_zipfile(path))):
        raise MisconfigurationException(unknown_run(words[0], path, command))
    return path


def only_run(command: str, words: Sequence[str]) -> Path:
    """Find the one run that a command takes.

    Args:
        command: The command.
        words: What was typed behind it.

    Returns:
        The folder of a run, or a checkpoint.

    Raises:
        MisconfigurationException: If there is no such run, or more than one word.
    """
    run = run_named(command, words)
    if len(words) > 1:
        raise MisconfigurationException(f"{command} takes one run, but there are {len(words)}: {', '.join(words)}.")
    return run


def _with_home(options: Sequence[str]) -> list[str]:
    """Expand what names a config, and find this project's own; a config that is typed as text isn't a file."""
    left: list[str] = []
    for position, option in enumerate(options):
        name, equals, value = option.partition("=")
        if name in CONFIG and equals and ":" not in value:
            option = f"{name}={_config(value, name)}"
        elif position and options[position - 1] in CONFIG and ":" not in option:
            option = _config(option, "--config")
        left.append(option)
    return left


def _config(name: str, option: str) -> str:
    path = expand(name, option)
    return str(installed_config(path) or path)


def _run_of_config(options: Sequence[str]) -> Run | None:
    """Find the run whose config is given by ``--config``, if the last one is that of a run."""
    for position in reversed(range(len(options))):
        config = value_of(options[position:][:2], *CONFIG)
        run = run_of(Path(config)) if config is not None and is_config_file(config) else None
        if run is not None:
            return run
    return None


def _logs(options: Sequence[str]) -> Path:
    logs = expand(value_of(options, "--logs") or "logs", "--logs")
    return copy_of(logs) if in_storage(logs) else Path(logs)


def _path_of(word: str, logs: Path = Path("logs")) -> Path:
    """Find what stands in the place of a run, on this machine."""
    if is_url(word):
        return fetch(word, "the run")
    return fetched(word) if in_storage(word) else named_path(word, logs)
