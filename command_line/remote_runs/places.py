"""Finds runs in object storage, and folders of this machine for them."""

from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.loggers import logger_configs
from command_line.remote_runs.mirror import Mirror
from datamodules.cache.user_cache import user_cache
from datamodules.remote.storage import Storage, is_remote
from runs.copies import note_copy, url_of
from runs.finding import runs_of
from runs.history import HISTORY
from runs.remote_file import is_url
from runs.run import CHECKPOINTS, Run


def in_storage(name: str) -> bool:
    """Check whether a name is a URL of object storage.

    Args:
        name: What the user wrote.

    Returns:
        Whether it is one; http(s) isn't.
    """
    return is_remote(name) and not is_url(name)


def copy_of(url: str) -> Path:
    """Name the folder of this machine that is the copy of one in object storage.

    Args:
        url: The latter's URL.

    Returns:
        The folder, in the user's cache; it need not exist.
    """
    scheme, _, rest = url.rstrip("/").partition("://")
    folder = user_cache("runs") / scheme / rest
    note_copy(user_cache("runs") / scheme / rest.partition("/")[0], f"{scheme}://{rest.partition('/')[0]}")
    return folder


def mirror_of(folder: Path) -> Mirror | None:
    """Find the run in object storage that a folder is the copy of.

    Args:
        folder: The folder of a run on this machine.

    Returns:
        Both sides; None if the folder is no copy.
    """
    url = url_of(folder)
    return None if url is None else Mirror(url, folder)


def fetched(url: str) -> Path:
    """Copy the run that a URL belongs to.

    Args:
        url: The folder of a run or of one of its evaluations, or a checkpoint in its place.

    Returns:
        What the URL names, on this machine; if it belongs to no run, the path is one where nothing is.

    Raises:
        MisconfigurationException: If the storage can't be read, or the run has changed on both sides.
    """
    place = url.rstrip("/")
    for _ in range(3):  # checkpoints/best.ckpt is two folders below
        if Storage(place).exists(HISTORY) or Run(copy_of(place)).exists():
            Mirror(place, copy_of(place)).fetch()
            break
        place = place.rpartition("/")[0]
    return copy_of(url)


def fetched_runs(url: str) -> Path:
    """Copy all runs below a folder, without their checkpoints.

    Args:
        url: The folder.

    Returns:
        Its copy.

    Raises:
        MisconfigurationException: If the storage can't be read, or a run has changed on both sides.
    """
    listed, url = Storage(url).files(), url.rstrip("/")
    copy_of(url).mkdir(parents=True, exist_ok=True)
    for run in [f"/{name}".removesuffix(f"/{HISTORY}") for name in listed if f"/{name}".endswith(f"/{HISTORY}")]:
        inside = f"{run}/".lstrip("/")
        files = {name.removeprefix(inside): version for name, version in listed.items() if name.startswith(inside)}
        mirror = Mirror(url + run, copy_of(url + run))
        mirror.fetch(lambda name: not name.startswith(f"{CHECKPOINTS}/"), files)
    return copy_of(url)


def fetch_meant(experiment: Path, name: str | None, checkpoint: str | None) -> None:
    """Copy the run that is meant by its name or as the newest, if the experiment is in object storage.

    Args:
        experiment: The folder of its copy.
        name: The name of the run.
        checkpoint: ``best`` or ``last``, if that is what was asked for.

    Raises:
        MisconfigurationException: If the storage can't be read, or the run has changed on both sides.
    """
    url = url_of(experiment)
    if url is not None and name is not None:
        fetched(f"{url}/{name}")
    elif url is not None and checkpoint in ("best", "last"):
        for run in runs_of(fetched_runs(url))[:1]:
            Mirror(f"{url}/{run.name}", run.folder).fetch()


def see_names(experiment: Path) -> None:
    """Make folders for runs of an experiment in object storage, so that new ones get other names.

    Args:
        experiment: The folder of its copy.

    Raises:
        MisconfigurationException: If the storage can't be read.
    """
    url = url_of(experiment)
    for name in Storage(url).names("directory") if url else []:
        (experiment / name).mkdir(parents=True, exist_ok=True)


def keep_here(config: Namespace, command: str) -> None:
    """Let a command work with folders of this machine, where its config names object storage.

    Args:
        config: The command's config; changed in place.
        command: The command.

    Raises:
        MisconfigurationException: If the storage can't be read, or something has to be a folder of this machine.
    """
    trainer, output = config.get("trainer"), config.get("output")
    if isinstance(output, str) and in_storage(output) and command != "convert":
        raise MisconfigurationException(
            f"--output is {output}: {command} writes to this machine. Name a folder or a file here, and upload it."
        )
    places: list[tuple[Any, str]] = [(config, "logs")]
    if trainer is not None:
        places += [(trainer, "default_root_dir")]
        places += [(logger.init_args, "save_dir") for logger in logger_configs(trainer)]
    for section, key in places:
        if isinstance(section.get(key), str) and in_storage(section[key]):
            section[key] = str(copy_of(section[key]))
    trained: list[tuple[Any, str]] = [(config, "ckpt_path"), (config.get("model"), "weights")]
    trained += [(config.distillation, "teacher")] if command == "fit" else []  # other commands need none
    for section, key in trained:
        if section is not None and isinstance(section.get(key), str) and in_storage(section[key]):
            section[key] = str(fetched(section[key]))


def as_typed(config: Namespace) -> None:
    """Undo ``keep_here``, in a config that others shall read.

    Args:
        config: The config; changed in place.
    """
    trainer = config["trainer"]
    trained: list[tuple[Any, str]] = [(config["model"], "weights"), (config["distillation"], "teacher")]
    places = [(config, "logs"), *trained, (trainer, "default_root_dir")]
    places += [(logger.init_args, "save_dir") for logger in logger_configs(trainer)]
    for section, key in places:
        if isinstance(section.get(key), str):
            section[key] = url_of(Path(section[key])) or section[key]
