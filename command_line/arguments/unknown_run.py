"""Answers a word that names no run."""

from difflib import get_close_matches
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.arguments.config_names import config_meant
from command_line.arguments.data_word import holds_data
from command_line.remote_runs.places import in_storage
from datamodules.remote.storage import Storage
from runs.finding import find_runs


def unknown_run(word: str, path: Path, command: str) -> str:
    """Say what stands in the place of a run.

    Args:
        word: What was typed.
        path: The place on this machine that it means.
        command: The command.

    Returns:
        A sentence, with what may have been meant.
    """
    if holds_data(str(path)):
        photographs, data = f" {word}", f" --data.root {word}"
        following = {"predict": photographs, "explain": photographs, "validate": data, "test": data}
        return f"{word} is a data set, not a run: write {command} RUN{following.get(command, '')}."
    if path.is_dir():
        runs = [str(run.folder) for run in find_runs(path)]
        if runs:
            return f"{word} is no run: it holds the runs {', '.join(runs[:5])}."
        if command == "fit":
            return f"{word} is neither a run nor a data set: it holds no history, no checkpoints and no photographs."
        return f"{word} is no run: it holds neither a history nor checkpoints."
    if in_storage(word):
        meant = meant_in_storage(word)
    else:
        meant = "".join(f" Did you mean {str(near)!r}?" for near in _nearest(path, command))
        config = None if meant else config_meant(word)
        if config is not None and config.stem == path.name:
            meant = f" Did you mean --config {config}?"
    if command == "fit":
        what = f"There is no run or data set {word}: give the folder of one, a table, a checkpoint or a URL."
    else:
        what = f"There is no run {word}: give its folder, a checkpoint or its URL."
    return what + meant


def meant_in_storage(url: str) -> str:
    """Suggest the folder of object storage that lies beside one that there isn't, and has the nearest name.

    Args:
        url: What was typed.

    Returns:
        A sentence with a leading space; nothing where no name is near.
    """
    beside, _, name = url.rstrip("/").rpartition("/")
    try:
        names = Storage(beside).names("directory")
    except MisconfigurationException:  # there is no such bucket
        return ""
    near = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean '{beside}/{near[0]}'?" if near else ""


def _nearest(path: Path, command: str) -> list[Path]:
    """Find the run, or for ``fit`` the data set, whose name is the nearest to one that there isn't."""
    for parent in (path.parent, Path("logs") / path.parent):
        runs = {run.name: run.folder for run in find_runs(parent)} if parent.is_dir() else {}
        near = [runs[name] for name in get_close_matches(path.name, runs, n=1)]
        if near:
            return near
    beside = {place.name: place for place in path.parent.iterdir()} if path.parent.is_dir() else {}
    return [
        beside[name]
        for name in get_close_matches(path.name, beside, n=1)
        if command == "fit" and holds_data(str(beside[name]))
    ]
