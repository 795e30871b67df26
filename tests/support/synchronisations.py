"""Counts what a GPU would have to be waited for, without one."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import torch
from lightning import Callback, LightningModule, Trainer
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.checkout import CHECKOUT

_WAITING = (
    "_local_scalar_dense",
    "is_nonzero",
    "nonzero",
    "equal",
    "masked_select",
    "unique",
    "_unique2",
    "unique_dim",
)
# what reads on a CPU alone, or after the device has long been there
_ALLOWED = {("batches.py", "check_labels"), ("late_number.py", "read"), ("pixel_normalization.py", "_check_range")}


class Synchronisations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes each operation whose result the process waits for, by the line of the project that led to it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masked = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        moved = name == "_to_copy" and (kwargs or {}).get("device") is not None and args[0].ndim == 0
        if name in _WAITING or masked or moved:
            place = _place()
            if place is not None:
                self.found[f"{name} from {place}"] += 1
        return func(*args, **(kwargs or {}))


def _place() -> str | None:
    frame, outermost = sys._getframe(2), "?"
    while frame is not None:
        path = frame.f_code.co_filename
        if (path.rpartition("/")[2], frame.f_code.co_name) in _ALLOWED:
            return None
        place = path.removeprefix(f"{CHECKOUT}/")
        own = place != path and "site-packages" not in place and not place.startswith("tests/")
        if own and outermost == "?":
            outermost = f"{place}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return outermost


class Window(Callback):
    """Counts between the starts of two batches of a training, and in all batches of a test but the first."""

    found: ClassVar[Counter[str]] = Counter()
    steps = 0

    def __init__(self, first: int = 2, last: int = 8) -> None:
        self.first = first
        self.last = last
        self._mode: Synchronisations | None = None
        Window.found, Window.steps = Counter(), 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.first:
            self._open()
        if batch_idx == self.last:
            self._close()
        Window.steps += self._mode is not None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        if batch_idx == 1:
            self._open()
        Window.steps += self._mode is not None

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def _open(self) -> None:
        self._mode = Synchronisations()
        self._mode.__enter__()  # type: ignore[no-untyped-call]

    def _close(self) -> None:
        if self._mode is not None:
            self._mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            Window.found, self._mode = self._mode.found, None


class Collectives(Callback):
    """Counts what the processes of a run say to each other from one training step to another, gradients left out.

    Args:
        folder: Gets a file for each process.
        first: First batch that counts.
        last: First batch that doesn't any more.
    """

    NAMES = ("all_reduce", "all_gather", "all_gather_object", "barrier", "broadcast", "broadcast_object_list", "reduce")

    def __init__(self, folder: str, first: int = 1, last: int = 15) -> None:
        self.folder, self.first, self.last = folder, first, last
        self.found: Counter[str] = Counter()
        self._patches: list[Any] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.first:
            for name in self.NAMES:
                self._patches.append(patch.object(torch.distributed, name, self._counting(name)))
                self._patches[-1].start()
        if batch_idx == self.last:
            for active in self._patches:
                active.stop()
            Path(self.folder, str(trainer.global_rank)).write_text(json.dumps(self.found))

    def _counting(self, name: str) -> Any:
        original = getattr(torch.distributed, name)

        def count(*args: Any, **kwargs: Any) -> Any:
            self.found[name] += 1
            return original(*args, **kwargs)

        return count
