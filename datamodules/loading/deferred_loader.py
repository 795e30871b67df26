"""A loader that starts when it is first used, and measures how long it is waited for."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import cv2
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader

from datamodules.loading.collate import collate
from datamodules.loading.shared_slots import SharedSlots

_TIMED_OUT = "DataLoader timed out"
_LAST_SECONDS = 5.0


class DeferredLoader(DataLoader[Any]):
    """Draws the first batches when they are asked for, not when the iterator is made.

    Lightning makes the first iterator of a run before it knows, from the checkpoint, which epoch the run resumes with,
    and workers would at once load images of epoch 0 (pytorch-lightning #21938).

    Raises:
        MisconfigurationException: While iterating, if loading processes deliver nothing for ``timeout`` seconds.

    Attributes:
        waited: Seconds in which somebody has waited for batches, in all.
        slot_size: Bytes of the largest batch, for which loading processes get memory to fill again and again; 0 lets
            them take new memory for each.
        before_epoch: Called when an epoch begins.
    """

    waited = 0.0
    slot_size = 0
    before_epoch: Callable[[], None] | None = None
    _slots: SharedSlots | None = None

    def state_dict(self) -> dict[str, Any]:
        """Tell Lightning that an epoch can be resumed in its middle: the sampler asks how far it is.

        Returns:
            Nothing else.
        """
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore nothing.

        Args:
            state_dict: What ``state_dict`` returned.
        """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.num_workers and self.slot_size and self._slots is None:
            with suppress(RuntimeError):  # there is too little shared memory; batches one by one may still fit
                self._slots = SharedSlots(self.num_workers, self.slot_size)
                self.collate_fn = partial(collate, slots=self._slots)
        if self.before_epoch is not None:
            self.before_epoch()
        began = time.perf_counter()
        try:
            for batch in super().__iter__():
                self.waited += time.perf_counter() - began
                yield batch
                began = time.perf_counter()
        except RuntimeError as error:
            if not str(error).startswith(_TIMED_OUT):
                raise
            _kill_loading_processes()
            raise MisconfigurationException(
                f"No batch was loaded for {self.timeout:g} seconds: the images' disk or server doesn't answer, or a "
                "loading process hangs. data.timeout is how long to wait; a training continues with --ckpt_path last."
            ) from error


def _kill_loading_processes() -> None:
    # those that hang would be waited for when the main process ends; its answer to their death is an error, too
    in_main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if in_main else None
    try:
        children = multiprocessing.active_children()
        for process in children:
            process.kill()
        end = time.monotonic() + _LAST_SECONDS
        for process in children:
            process.join(max(0.0, end - time.monotonic()))
    finally:
        if before is not None:
            signal.signal(signal.SIGCHLD, before)


def begin_worker(worker_id: int) -> None:
    """Keep OpenCV from starting a thread per core in every worker, and signals to the whole run from ending it.

    Batch systems and ``timeout`` send signals to all processes of a run. The main process saves and then ends its
    workers; if one of them ended by itself before, that would be an error in the middle of saving.

    Args:
        worker_id: The worker's number.
    """
    del worker_id
    cv2.setNumThreads(0)
    for name in ("SIGINT", "SIGUSR1"):  # Windows has no SIGUSR1
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_if_the_main_process_says_so, daemon=True).start()


def _end_if_the_main_process_says_so() -> None:
    while True:
        info = signal.sigwaitinfo({signal.SIGTERM})
        if info.si_pid in (os.getppid(), os.getpid()):
            os._exit(0)
