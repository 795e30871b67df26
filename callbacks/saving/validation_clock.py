"""Time-based validations that begin on all devices at once."""

import math
import time
from typing import Any

from lightning import Trainer

AGREE_EVERY = 16  # steps, since devices wait for each other to agree


class ValidationClock:
    """Decides for all devices whether it is time to validate.

    Lightning asks the clock of each device (``trainer.val_check_interval`` as a time); one that validated a batch
    before the others would wait for them for ever.
    """

    def __init__(self) -> None:
        self._last = -math.inf

    def agree(self, trainer: Trainer) -> None:
        """Put the common decision in the place of the time of the last validation.

        Args:
            trainer: The trainer, at the end of a training batch; changed in place.
        """
        times: Any = trainer
        interval = times._val_check_time_interval
        if interval is None or trainer.world_size == 1:
            return
        if math.isfinite(times._last_val_time):
            self._last = times._last_val_time
        due = False
        if trainer.global_step % AGREE_EVERY == 0:
            due = trainer.strategy.reduce_boolean_decision(time.monotonic() - self._last >= interval, all=False)
        times._last_val_time = -math.inf if due else math.inf
