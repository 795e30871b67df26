"""Gives a run and its evaluations a folder of their own."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from os.path import expandvars
from pathlib import Path, PurePosixPath
from shutil import rmtree

from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.commands import address, program
from runs.finding import version_of
from runs.run import Run

_RESULTS = ("*_scores.json", "predictions.csv")


def endings() -> Iterator[str]:
    """Count names that are taken.

    Yields:
        Nothing, ``-2``, ``-3`` and so on, endlessly.
    """
    yield ""
    for number in count(2):
        yield f"-{number}"


def named_run(experiment: Path, name: str) -> Run:
    """Name a run, whether it exists or not.

    Args:
        experiment: Folder of the runs.
        name: The name; with slashes, a folder in folders.

    Returns:
        The run.

    Raises:
        MisconfigurationException: If the name can't be that of a folder below the experiment.
    """
    require_folder_name("--name", name, experiment)
    return Run(experiment / name)


def require_folder_name(option: str, name: str, parent: Path) -> None:
    """Refuse what can't be the name of a folder below another.

    Args:
        option: The option that gives the name, for the message.
        name: The name; with slashes, a folder in folders.
        parent: The folder that it would lie in.

    Raises:
        MisconfigurationException: If it is empty, leads elsewhere, or would be read as something else.
    """
    parts = PurePosixPath(name).parts
    impossible = (
        not parts or not name.strip() or name.startswith(("/", "~")) or any(part in (".", "..") for part in parts)
    )
    # TensorBoard's logger would expand variables, and fsspec takes colons for addresses
    if impossible or expandvars(name) != name or any(text in name for text in ("\0", "\n", "::", "://")):
        raise MisconfigurationException(
            f"{option} is {name!r}, which can't be the name of a folder in {parent}: choose another, without .., :: "
            "or a variable of the environment."
        )


def claim_run(experiment: Path, name: str | None, *, create: bool = True) -> Run:
    """Make the folder of a new run, so that no other process takes the same.

    Args:
        experiment: Folder of the runs.
        name: Its name; None counts on from the last version.
        create: Make the folder; otherwise only say what it would be.

    Returns:
        The run.

    Raises:
        MisconfigurationException: If there is something under this name already, or the folder can't be made.
    """
    if name is not None:
        run = named_run(experiment, name)
        place = address(run.folder)
        if create and run.exists():
            raise MisconfigurationException(
                f"{place} exists already: {program()} fit {place} goes on with it, another --name begins a new run."
            )
        if create:
            claim_folder(run.folder, "--name")
        return run
    taken = [version_of(path.name) for path in experiment.iterdir()] if experiment.is_dir() else []
    numbers = count(max(taken, default=-1) + 1)
    folder = _claim((experiment / f"version_{number}" for number in numbers), create=create)
    assert folder is not None
    return Run(folder)


def claim_evaluation(run: Run, kind: str, *, create: bool = True) -> Path:
    """Make the folder of an evaluation: ``test``, ``test-2`` and so on.

    Args:
        run: The run.
        kind: ``test``, ``validate`` or ``predict``.
        create: Make the folder; otherwise only say what it would be.

    Returns:
        The folder.

    Raises:
        MisconfigurationException: If it can't be made.
    """
    folder = _claim(run.evaluation_folders(kind), create=create)
    assert folder is not None
    return folder


def claim_folder(folder: Path, option: str, *, create: bool = True) -> Path:
    """Make a folder that the user has named.

    Args:
        folder: The folder; if it exists, it must be empty.
        option: The option that names it, for messages.
        create: Make the folder; otherwise only name it.

    Returns:
        The folder.

    Raises:
        MisconfigurationException: If something is in it, or it can't be made.
    """
    if not create or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    if not _claim([folder], create=True):
        raise MisconfigurationException(f"{option} is {folder}, which exists already: remove it or choose another.")
    return folder


def claim_numbered(folder: Path) -> Path:
    """Make a folder, with a number if its name is taken.

    Args:
        folder: The folder.

    Returns:
        ``comparison``, ``comparison-2`` and so on.

    Raises:
        MisconfigurationException: If it can't be made.
    """
    claimed = _claim((folder.with_name(f"{folder.name}{ending}") for ending in endings()), create=True)
    assert claimed is not None
    return claimed


def release(folder: Path) -> None:
    """Remove a folder that was made and that nothing has been written to.

    Args:
        folder: The folder.
    """
    with suppress(OSError):  # something is in it, or it is gone
        folder.rmdir()


@contextmanager
def attempt(folder: Path) -> Iterator[None]:
    """Remove the folder of an evaluation that fails before it has written anything.

    Args:
        folder: The folder, which was made for it.

    Yields:
        Nothing.
    """
    try:
        yield
    except BaseException:
        if not any(file for pattern in _RESULTS for file in folder.glob(pattern)):
            rmtree(folder, ignore_errors=True)
        raise


def _claim(folders: Iterable[Path] | Iterator[Path], *, create: bool) -> Path | None:
    """Take the first folder that doesn't exist."""
    for folder in folders:
        try:
            if not create:
                if not folder.exists():
                    return folder
                continue
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if not folder.parent.is_dir():
                raise MisconfigurationException(
                    f"Can't make the folder {folder}: {folder.parent} is no folder."
                ) from None
            continue
        except OSError as error:
            raise MisconfigurationException(
                f"Can't write into the folder {folder.parent}: {error.strerror}. Make it writable, or choose another "
                "by --output or --logs."
            ) from error
        return folder
    return None
