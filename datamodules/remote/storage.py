"""Reads and writes files of object storage by fsspec, and continues after short failures."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from datamodules.remote.storage_errors import in_brief, lasting_reason

_Result = TypeVar("_Result")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://")
_PATIENCE = 90.0  # seconds that a server may be away
_ONE_ATTEMPT = {
    "config_kwargs": {"retries": {"total_max_attempts": 1}}
}  # else botocore would have a patience of its own


def is_remote(name: str) -> bool:
    """Check whether a name is the URL of object storage, such as ``s3://bucket/folder``.

    Args:
        name: What the user wrote.

    Returns:
        Whether it is one.
    """
    return _SCHEME.match(name) is not None


class Storage:
    """A folder of object storage.

    Credentials and the address of the server come from where the storage's own tools look for them: for S3 from
    ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and ``~/.aws``. They are in
    no config and no checkpoint. What fails for a moment is tried again for up to 90 seconds.

    Args:
        url: The folder.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._connection: tuple[int, Any, str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None}

    def read(self, name: str) -> bytes:
        """Read a small file.

        Args:
            name: Its name below the folder.

        Returns:
            Its content.

        Raises:
            MisconfigurationException: If it can't be read.
        """
        return self._patiently(name, lambda system, path: bytes(system.cat_file(path)))

    def fetch(self, name: str, file: Path) -> None:
        """Copy a file to this machine, into a folder that is given its name when all in it is whole.

        Args:
            name: Its name below the folder.
            file: Where to put it.

        Raises:
            MisconfigurationException: If it can't be read, or the disk is full.
        """
        self._patiently(name, lambda system, path: system.get_file(path, str(file)))

    def exists(self, name: str) -> bool:
        """Look for a file.

        Args:
            name: Its name below the folder.

        Returns:
            Whether there is one.

        Raises:
            MisconfigurationException: If the storage can't be asked.
        """
        return self._patiently(name, lambda system, path: bool(system.exists(path)))

    def put(self, file: Path, name: str) -> None:
        """Copy a file from this machine, whole or not at all.

        Args:
            file: The file.
            name: Its name below the folder; what has it is replaced.

        Raises:
            MisconfigurationException: If it can't be written.
        """
        self._patiently(name, lambda system, path: system.put_file(str(file), path))

    def files(self) -> dict[str, str]:
        """List all files below the folder; see ``sizes``.

        Returns:
            Their names below it, and what changes when they do.
        """
        return {name: version for name, (version, _) in self.sizes().items()}

    def sizes(self) -> dict[str, tuple[str, int]]:
        """List all files below the folder.

        Returns:
            Their names below it, what changes when they do, and their bytes; nothing if there is no such folder.

        Raises:
            MisconfigurationException: If the storage can't be asked, or has no such bucket.
        """

        def find(system: Any, folder: str) -> dict[str, tuple[str, int]]:
            found = system.find(folder, detail=True)
            names = {path.removeprefix(folder).lstrip("/"): about for path, about in found.items()}
            odd = sorted(name for name in names if {"", ".."} & {*name.rstrip("/").split("/")} and name.strip("/"))
            if odd:
                rank_zero_warn(
                    f"{self.url} has {len(odd)} files whose names no folder can hold, such as {odd[0]}: they are "
                    "passed over; rename them."
                )
            return {
                name: (_version(about), int(about.get("size") or 0))
                for name, about in names.items()
                if about["type"] == "file" and not {"", ".."} & {*name.split("/")}  # no markers of folders, no escape
            }

        return self._patiently("", lambda system, path: find(system, path.rstrip("/")))

    def names(self, kind: str | None = None) -> list[str]:
        """List what is in the folder, but not below it.

        Args:
            kind: ``file`` or ``directory``; None takes both.

        Returns:
            The names; nothing if there is no such folder.

        Raises:
            MisconfigurationException: If the storage can't be asked.
        """

        def find(system: Any, folder: str) -> list[str]:
            found = system.ls(folder, detail=True) if system.exists(folder) else []
            return [about["name"].rstrip("/").rpartition("/")[2] for about in found if kind in (None, about["type"])]

        return self._patiently("", lambda system, path: find(system, path.rstrip("/")))

    def version(self, name: str) -> str:
        """Ask for what changes when a file does.

        Args:
            name: Its name below the folder.

        Returns:
            As ``files`` does.

        Raises:
            MisconfigurationException: If the storage can't be asked.
        """
        return self._patiently(name, lambda system, path: _version(system.info(path)))

    def remove(self, name: str, patience: float | None = None) -> None:
        """Remove a file.

        Args:
            name: Its name below the folder.
            patience: Seconds that the server may be away; None takes 90.

        Raises:
            MisconfigurationException: If it can't be removed.
        """
        self._patiently(name, lambda system, path: system.rm_file(path) if system.exists(path) else None, patience)

    def _connected(self) -> tuple[Any, str]:
        """Connect, once in each process: a connection can't be used by processes that are forked from this one."""
        connection = self._connection
        if connection is None or connection[0] != os.getpid():
            from fsspec.core import url_to_fs  # type: ignore[import-untyped] # takes a fifth of a second

            options = _ONE_ATTEMPT if self.url.startswith("s3://") else {}
            system, folder = url_to_fs(self.url, skip_instance_cache=True, use_listings_cache=False, **options)
            self._connection = connection = os.getpid(), system, folder
        return connection[1:]

    def _patiently(self, name: str, call: Callable[[Any, str], _Result], patience: float | None = None) -> _Result:
        """Call until it works, fails permanently, or the server has been away for too long."""
        url, began, pause = f"{self.url}/{name}", time.monotonic(), 0.25
        while True:
            try:
                system, folder = self._connected()
                return call(system, f"{folder}/{name}")
            except Exception as error:  # each storage has exceptions of its own
                self._connection = None
                if reason := lasting_reason(url, error):
                    raise MisconfigurationException(reason) from error
                if time.monotonic() - began > (longest := _PATIENCE if patience is None else patience):
                    raise MisconfigurationException(
                        f"{url} can't be reached; tried for {longest:.0f} seconds: {in_brief(error)}. Go on when the "
                        "storage answers again."
                    ) from error
                if pause > 4:
                    rank_zero_warn(f"Waiting for {url}: {in_brief(error)}.")
                time.sleep(pause)
                pause = min(2 * pause, 8.0)


def _version(about: dict[str, Any]) -> str:
    keys = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime")  # as the storages call it
    changing = next((about[key] for key in keys if about.get(key) is not None), "")
    return f"{about.get('size')} {changing}"
