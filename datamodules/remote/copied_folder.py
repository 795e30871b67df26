"""Data sets in object storage, of which a copy is kept on this machine."""

import hashlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.cache.user_cache import user_cache
from datamodules.files.json_file import read_object, write_object
from datamodules.layouts.table_file import TABLE_SUFFIXES
from datamodules.progress import progress
from datamodules.remote.draft import drafted
from datamodules.remote.storage import Storage, is_remote

_AT_A_TIME = 16
_TO_BE_FETCHED = ""  # the version of a file whose upload another machine may have replaced
_SECONDS = 10.0  # between two notes of what has been fetched
_SPARE = 0.9  # of what is free on the disk


def on_this_machine(place: str, cache_dir: str | None) -> Path:
    """Find a data set on this machine.

    Args:
        place: A folder or a table, or the URL of one, whose folder is copied then.
        cache_dir: Where copies are kept; None takes the user's cache.

    Returns:
        The folder or the table.

    Raises:
        MisconfigurationException: As ``copied_folder`` does.
    """
    if not is_remote(place):
        return Path(place)
    folder, _, table = place.rstrip("/").rpartition("/")
    base = _base(cache_dir)
    if Path(table).suffix.lower() in TABLE_SUFFIXES:
        return copied_folder(folder, base) / table
    return copied_folder(place, base)


def put_back(file: Path, folder: Path, place: str, cache_dir: str | None) -> bool:
    """Upload a file that was written into the copy of a data set, for other machines.

    Args:
        file: The file.
        folder: What ``on_this_machine`` has found.
        place: Its URL; of a folder of this machine nothing is uploaded.
        cache_dir: Where copies are kept; None takes the user's cache.

    Returns:
        Whether the file stays: another machine may have uploaded one meanwhile, which takes its place then.

    Raises:
        MisconfigurationException: If the storage can't be written to.
    """
    if is_remote(place):
        storage = Storage(place if folder.is_dir() else place.rstrip("/").rpartition("/")[0])
        name = file.relative_to(folder if folder.is_dir() else folder.parent).as_posix()
        if theirs := storage.exists(name):
            _fetch(storage, name, file)
        else:
            storage.put(file, name)
        known_file = _state_file(storage, _base(cache_dir))
        with FileLock(known_file.with_suffix(".lock")):  # so that it goes here when it is deleted there
            write_object(known_file, {**_read(known_file), name: _TO_BE_FETCHED})
        return not theirs
    return True


def copied_folder(url: str, base: Path) -> Path:
    """Copy a folder of object storage to this machine, or what has changed there since.

    Processes that call it at once wait for the first of them. What is interrupted goes on.

    Args:
        url: The folder.
        base: Where copies are kept.

    Returns:
        The copy.

    Raises:
        MisconfigurationException: If there is nothing, it doesn't fit on the disk, or the storage can't be read.
    """
    storage = Storage(url)
    scheme, _, rest = storage.url.partition("://")
    folder = base / scheme / rest.lstrip("/")  # file:///photos would be the folder itself, in which files are removed
    known_file = _state_file(storage, base)
    with FileLock(known_file.with_suffix(".lock")):
        listed = storage.sizes()
        if not listed:
            raise MisconfigurationException(f"There is nothing in {url}: check its name, or upload the data set there.")
        known = _read(known_file)
        for name in known.keys() - listed.keys():
            (folder / name).unlink(missing_ok=True)
        done = {
            name: version
            for name, (version, _) in listed.items()
            if known.get(name) == version and (folder / name).exists()
        }
        wanted = [name for name in listed if name not in done]
        _require_space(url, base, sum(listed[name][1] for name in wanted))
        begun = dict.fromkeys(wanted, _TO_BE_FETCHED)  # noted before: a killed copy's files are known
        try:
            write_object(known_file, begun | done)
            written = time.monotonic()
            with ThreadPoolExecutor(_AT_A_TIME) as pool:
                fetched = pool.map(lambda name: _fetch(storage, name, folder / name), wanted)
                for name in progress(fetched, not wanted, desc=f"fetching {url}", total=len(wanted), unit=" files"):
                    done[name] = listed[name][0]
                    if time.monotonic() - written > _SECONDS:
                        write_object(known_file, begun | done)
                        written = time.monotonic()
        finally:
            write_object(known_file, begun | done)
    return folder


def _fetch(storage: Storage, name: str, file: Path) -> str:
    with drafted(file) as draft:
        storage.fetch(name, draft)
    return name


def _base(cache_dir: str | None) -> Path:
    return Path(cache_dir) if cache_dir else user_cache("data")


def _state_file(storage: Storage, base: Path) -> Path:
    """Name the file that records which version of each file was copied; its folder is there."""
    file = base / ".states" / f"{hashlib.sha256(storage.url.encode()).hexdigest()[:20]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _read(file: Path) -> dict[str, str]:
    return {str(name): str(version) for name, version in (read_object(file) or {}).items()}


def _require_space(url: str, base: Path, needed: int) -> None:
    free = shutil.disk_usage(base).free
    if needed > _SPARE * free:
        raise MisconfigurationException(
            f"{url} has {needed / 1e9:.1f} GB to fetch, but {base} has {free / 1e9:.1f} GB free: choose another "
            "data.cache_dir, or convert the data set on a larger machine (train.py convert) and train on its chunks."
        )
