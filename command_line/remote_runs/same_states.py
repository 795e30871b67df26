"""Remembers in which states files of a run in object storage and their copies were the same."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

from filelock import FileLock
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.cache.user_cache import user_cache
from datamodules.remote.storage_errors import OF_THE_DISK
from runs.whole_file import write_atomically

State: TypeAlias = tuple[int, int]  # bytes, and nanoseconds of the last change

NO_FILE: State = (-1, 0)
_SENT = "sent"


class Same(NamedTuple):
    """A file that was the same on both sides, or has been sent without an answer.

    Attributes:
        version: Its version in the storage; of a file that has been sent the version before, and its digest, either of
            which may be there.
        state: Its state on this machine, ``NO_FILE`` until the storage has answered.
    """

    version: str
    state: State

    @classmethod
    def sent(cls, file: Path, before: "Same | None") -> "Same":
        """Describe a file that is being sent.

        Args:
            file: The file.
            before: What was known of it before.

        Returns:
            What is known until the storage has answered.
        """
        version = "" if before is None else before.version.removeprefix(_SENT)
        return cls(f"{_SENT} {version} {digest_of(file)}", NO_FILE)

    def is_unanswered(self) -> bool:
        """Tell whether the file has been sent without an answer.

        Returns:
            Whether it has.
        """
        return self.version.startswith(_SENT)

    def may_be(self, version: str) -> bool:
        """Check whether the storage may hold a version without anybody else having changed the file.

        Args:
            version: The version there, or the digest of what is there.

        Returns:
            Whether it is the one that was the same, or one that has been sent.
        """
        return version == self.version or (self.is_unanswered() and version in self.version)


class SameStates:
    """The states of all files of a run, in a file of this machine.

    Args:
        url: The folder of the run in object storage.

    Attributes:
        file: That file.
    """

    def __init__(self, url: str) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:20]
        self.file = user_cache("runs") / ".states" / f"{name}.json"

    @contextmanager
    def opened(self) -> Iterator[dict[str, Same]]:
        """Read them, and write them afterwards; one process at a time.

        Yields:
            The states by the files' names below the run's folder, to be changed in place.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_suffix(".lock")):
            try:
                stored = json.loads(self.file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                stored = {}
            states = {
                name: Same(str(version), (int(size), int(time))) for name, (version, size, time) in stored.items()
            }
            try:
                yield states
            finally:
                self.write(states)

    def write(self, states: Mapping[str, Same]) -> None:
        """Write them.

        Args:
            states: The states.

        Raises:
            MisconfigurationException: If they can't be written, but for a disk that is full or the like.
        """
        plain = {name: [version, *state] for name, (version, state) in states.items()}
        try:
            write_atomically(self.file, json.dumps(plain, indent=1))
        except MisconfigurationException as error:
            if getattr(error.__cause__, "errno", None) not in OF_THE_DISK:
                raise  # else a later command may ask to remove the folder, if it finds other files than it knows of


def digest_of(file: Path) -> str:
    """Compute a digest of a file.

    Args:
        file: The file.

    Returns:
        SHA-256, in hexadecimal digits.
    """
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def state_of(file: Path) -> State | None:
    """Look at a file.

    Args:
        file: The file.

    Returns:
        Its state; None if there is no such file.
    """
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if file.is_file() else None
