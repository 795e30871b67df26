"""Fetches in the background what will soon be needed."""

import os
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from lightning.fabric.utilities.exceptions import MisconfigurationException

_THREADS = 4


class ReadAhead:
    """Threads of one process that fetch things by number, in the order in which they are announced.

    They end with the process, even in the middle of a transfer. Errors are left to the later request for the same
    thing.

    Args:
        fetch: Fetches one.

    Attributes:
        process: The process whose threads these are; one that is forked from it has none.
    """

    def __init__(self, fetch: Callable[[int], None]) -> None:
        self.process = os.getpid()
        self._fetch = fetch
        self._announced: queue.SimpleQueue[int] = queue.SimpleQueue()
        for _ in range(_THREADS):
            threading.Thread(target=self._work, daemon=True).start()

    def announce(self, numbers: Iterable[int]) -> None:
        """Fetch some more.

        Args:
            numbers: Theirs, the first one needed first.
        """
        for number in numbers:
            self._announced.put(number)

    def _work(self) -> None:
        while True:
            number = self._announced.get()
            with suppress(MisconfigurationException, OSError):
                self._fetch(number)
