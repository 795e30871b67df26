"""When a run began, continued and ended, and whether it is running now."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lightning.fabric.utilities.exceptions import MisconfigurationException

HISTORY = "history.jsonl"
_LOCK = ".lock"


@dataclass(frozen=True)
class Event:
    """One line of a history.

    Attributes:
        kind: ``began``, ``resumed``, ``stopped``, ``failed`` or ``finished``.
        time: Seconds since the epoch.
        facts: What else is known, plain values: ``epoch``, ``step``, ``command`` and so on.
    """

    kind: str
    time: float
    facts: dict[str, Any]


class History:
    """The file of a run that says what happened to it: a line of JSON for each event, only ever appended to.

    Args:
        file: ``history.jsonl`` in the folder of the run.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def append(self, kind: str, **facts: Any) -> None:
        """Add an event that happens now.

        Args:
            kind: What happens.
            **facts: Plain values.
        """
        line = json.dumps({"event": kind, "time": time.time(), **facts}) + "\n"
        with self.file.open("ab") as file:
            torn = file.tell() and not self.file.read_bytes().endswith(b"\n")
            file.write(b"\n" * bool(torn) + line.encode())

    def events(self) -> Iterator[Event]:
        """Read the events, the oldest first; lines cut off by a power failure are left out.

        Yields:
            The events.
        """
        try:
            lines = self.file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                facts = json.loads(line)
                yield Event(str(facts.pop("event")), float(facts.pop("time")), facts)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue

    def last(self, *kinds: str) -> Event | None:
        """Find the newest event of some kinds.

        Args:
            *kinds: The kinds; without any, all.

        Returns:
            The event, or None.
        """
        found = [event for event in self.events() if not kinds or event.kind in kinds]
        return found[-1] if found else None


class Lock:
    """Keeps two processes from training the same run at the same time.

    The lock is one of the process (POSIX ``fcntl`` record locks): loading processes don't inherit it, and it ends with
    the process, however that ends. Where the file system or the platform has no such locks, nothing is locked.

    Args:
        folder: The folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / _LOCK
        self._handle: int | None = None

    def __enter__(self) -> Self:
        if sys.platform == "win32":
            return self
        import fcntl

        while True:
            self._handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                self._close()
                raise MisconfigurationException(
                    f"Another process is training {self.file.parent}: wait until it ends, or give this run a name of "
                    "its own by --name."
                ) from error
            except OSError:  # a file system without locks
                return self
            if os.fstat(self._handle).st_nlink:
                return self
            self._close()  # the process before has just ended and removed the file

    def __exit__(self, *error: object) -> None:
        if self._handle is not None:
            self.file.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_running(folder: Path) -> bool:
    """Check whether a process is training a run now.

    Args:
        folder: The folder of the run.

    Returns:
        Whether one holds its lock.
    """
    if sys.platform == "win32" or not (folder / _LOCK).exists():
        return False
    import fcntl

    try:
        with (folder / _LOCK).open("rb") as file:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
