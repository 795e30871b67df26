"""Checkpoints that hold the scores of their weights."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from callbacks.saving.whole_checkpoint import WholeCheckpoint

_KEY = "scores"
_NEVER = -1


class ScoredCheckpoint(WholeCheckpoint):
    """Saves ``scores`` in each checkpoint: those of its weights, plain floats by logged name.

    A trainer remembers the last value of each name, which need not belong to the present weights: in mid-epoch the
    validation of the epoch before, in a validation the training means of the epoch before. Those are left out.

    Attributes:
        best_scores: The scores of the best checkpoint; of one that an older version wrote the monitored alone.
        best_epoch: The epoch in which it was written, counted from 0; None if there is none, or if it isn't known.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.best_scores: dict[str, float] = {}
        self.best_epoch: int | None = None
        self._validated = self._trained = _NEVER  # optimizer steps after which something was measured
        self._restored: dict[str, float] = {}
        self._restored_step = _NEVER

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the present weights have been validated.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if not trainer.sanity_checking:
            self._validated = trainer.global_step
            self._last_global_step_saved = _NEVER  # two validations of a step compete too, as do those before the first
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the means of an epoch have been logged; arguments as in ``on_validation_end``."""
        self._trained = trainer.global_step
        super().on_train_epoch_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the scores.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            checkpoint: What is about to be saved; changed in place.
        """
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        checkpoint[_KEY] = self._present_scores(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take over the scores of the weights; arguments as in the hook above."""
        self._restored = dict(checkpoint.get(_KEY, {}))
        self._restored_step = int(checkpoint.get("global_step", _NEVER))

    def state_dict(self) -> dict[str, Any]:
        """Describe the best checkpoint, for a run that continues from another one.

        Returns:
            Plain values.
        """
        return {**super().state_dict(), "best_scores": self.best_scores, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where a checkpoint stood.

        Args:
            state_dict: What ``state_dict`` returned; that of an older version knows the monitored score alone.
        """
        super().load_state_dict(state_dict)
        if self.best_model_score is not None:
            monitored = {str(self.monitor): float(self.best_model_score)}
            self.best_scores = dict(state_dict.get("best_scores", monitored))
            self.best_epoch = state_dict.get("best_epoch")

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        if self.monitor is None or self.monitor in monitor_candidates:
            super()._save_topk_checkpoint(trainer, monitor_candidates)
            return
        known = ", ".join(sorted(monitor_candidates.keys() - {"epoch", "step"}))
        if trainer.fit_loop.epoch_loop.val_loop._has_run:
            raise MisconfigurationException(
                f"checkpoint.monitor is {self.monitor!r}, but there are only {known}: choose one of them."
            )

    def _update_best_and_save(self, current: Tensor, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        self.best_scores, self.best_epoch = self._present_scores(trainer), trainer.current_epoch
        super()._update_best_and_save(current, trainer, monitor_candidates)

    def _present_scores(self, trainer: Trainer) -> dict[str, float]:
        step = trainer.global_step
        # the trainer of a resumed run knows nothing of what was logged before the interruption
        scores = dict(self._restored) if step == self._restored_step else {}
        for name, value in trainer.callback_metrics.items():
            measured = self._validated if name.startswith("val") else self._trained
            if measured == step or name == "train/loss":  # the loss of the last batch is always known
                scores[name] = float(value)
        return dict(sorted(scores.items()))
