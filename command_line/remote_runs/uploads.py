"""Uploads what a command writes, while it does and when it has ended."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from command_line.remote_runs.mirror import Mirror

_FIRST, _EVERY = 1.0, 5.0  # seconds


@contextmanager
def uploading(mirror: Mirror) -> Iterator[None]:
    """Upload a run's new files every few seconds, and all of them at the end.

    While the storage can't be reached, the command goes on, and its files wait on this machine.

    Args:
        mirror: The run.

    Yields:
        Nothing.

    Raises:
        MisconfigurationException: If not all could be uploaded in the end.
    """
    ended = threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        pause = _FIRST
        while not ended.wait(pause):
            pause = _EVERY
            try:
                mirror.upload()
                failures.clear()
            except MisconfigurationException as error:
                if not failures:
                    rank_zero_warn(f"{error} Training goes on; {mirror.folder} keeps what isn't uploaded yet.")
                failures.append(error)

    thread = threading.Thread(target=work, name="uploads", daemon=True)
    with mirror.claimed():
        thread.start()
        try:
            yield
        except BaseException as reason:
            ended.set()
            thread.join()
            try:
                mirror.upload()
            except MisconfigurationException as error:
                rank_zero_warn(_left(error, mirror))
            raise reason
        ended.set()
        thread.join()
        try:
            mirror.upload()
            mirror.tidy()
        except MisconfigurationException as error:
            raise MisconfigurationException(_left(error, mirror)) from error


def _left(error: Exception, mirror: Mirror) -> str:
    return (
        f"{error} {mirror.folder} has all that isn't uploaded yet; the next command on {mirror.url} on this machine "
        "uploads it."
    )
