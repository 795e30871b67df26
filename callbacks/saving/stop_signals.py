"""Signals that ask a run to stop."""

import os
import signal
import threading
from types import FrameType
from typing import Any

# What batch systems, containers and people send; Windows has no SIGUSR1.
_NAMES = ("SIGTERM", "SIGINT", "SIGUSR1")


class StopSignals:
    """Notes SIGTERM, SIGINT (Ctrl-C) and SIGUSR1 instead of ending the process, so that the run can save first.

    A second SIGINT ends the process at once.

    Attributes:
        received: The first signal that came, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._replaced: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Replace the handlers; outside of the main thread, where Python can't, leave them."""
        self.received = None  # what stopped an earlier run of the same trainer
        if threading.current_thread() is not threading.main_thread():
            return
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != self._note:
                self._replaced[number] = signal.signal(number, self._note)

    def remove(self) -> None:
        """Put back what was there before, unless others, as Lightning at the end of a run, have done so already."""
        for number, handler in self._replaced.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._replaced = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            # not print: the signal may have interrupted a write to the same stream
            os.write(2, f"\n{self.received.name}: saving, then stopping (Ctrl-C again stops at once)\n".encode())
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
