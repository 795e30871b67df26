"""Early stopping that waits for layers to be unfrozen."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from callbacks.gradual_unfreezing import GradualUnfreezing
from callbacks.score_direction import Mode, mode_of
from lightning_modules import ImageClassifier


class EarlyStopping(LightningEarlyStopping):
    """Stops when a score no longer improves, but never while groups of layers still wait to be unfrozen.

    A frozen network reaches its ceiling early; Lightning's callback would run out of patience before the network
    is unfrozen. Epochs before the last unfreezing don't count here.

    Args:
        monitor: Name of the score.
        mode: ``max`` if larger is better, ``min`` if smaller is; null follows from the name of the score.
        patience: Validations without improvement that are tolerated; null never stops.
        min_delta: Smallest change that counts as improvement.

    Raises:
        MisconfigurationException: If the patience is negative, or the mode contradicts the score.
    """

    def __init__(
        self,
        monitor: str = "val/f1",
        mode: Mode | None = None,
        patience: int | None = 10,
        min_delta: float = 0.0,
    ) -> None:
        if patience is not None and patience < 0:
            raise MisconfigurationException(f"early_stopping.patience is {patience}: it has to be 0 or more, or null.")
        direction = "max" if patience is None else mode_of("early_stopping", monitor, mode)
        super().__init__(monitor, mode=direction, patience=0 if patience is None else patience, min_delta=min_delta)
        self.enabled = patience is not None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Look at the score at the end of each epoch where nothing is validated.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit`` or another.
        """
        if trainer.limit_val_batches == 0:
            self._check_on_train_epoch_end = True
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train no further where a resumed run had stopped, unless it has more patience now.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        super().on_train_start(trainer, pl_module)
        if self.stopped_epoch and self.wait_count >= self.patience and not self._should_skip_check(trainer):
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say why the run is shorter than it was to be.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        score = trainer.callback_metrics.get(self.monitor)
        if self.enabled and trainer.should_stop and score is not None and not score.isfinite():
            rank_zero_warn(f"Stopped after {trainer.current_epoch} epochs: {self.monitor} is {float(score)}.")
        elif self.enabled and trainer.should_stop and self.wait_count >= self.patience:
            rank_zero_info(
                f"Stopped early after {trainer.current_epoch} epochs: {self.monitor} hasn't improved for "
                f"{self.wait_count} validations (early_stopping.patience)."
            )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume, with the patience that this run asks for; Lightning's callback would restore the old one.

        Args:
            state_dict: The saved state.
        """
        super().load_state_dict({**state_dict, "patience": self.patience})

    def _validate_condition_metric(self, logs: dict[str, Tensor]) -> bool:
        if self.monitor not in logs:
            raise MisconfigurationException(
                f"early_stopping.monitor is {self.monitor!r}, but there are only {', '.join(sorted(logs))}: choose "
                "one of them, or set early_stopping.patience to null."
            )
        return True

    def _should_skip_check(self, trainer: Trainer) -> bool:
        # the last step of a run may end an epoch before its validation
        cut_off = self.monitor not in trainer.callback_metrics and 0 < trainer.max_steps <= trainer.global_step
        return not self.enabled or cut_off or super()._should_skip_check(trainer) or _is_waiting(trainer)


def _is_waiting(trainer: Trainer) -> bool:
    module = trainer.lightning_module
    assert isinstance(module, ImageClassifier)
    return any(
        not callback.is_complete([*module.group_names], trainer.current_epoch)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if isinstance(callback, GradualUnfreezing)
    )
