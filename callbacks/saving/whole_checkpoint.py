"""Checkpoints that are complete at any moment, however the process ends."""

import warnings
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from callbacks.finite_tensors import first_not_finite, norm_of
from callbacks.saving.background_writer import BackgroundWriter, draft_of, not_written, writes_behind
from runs import whole_file

_STATES = ("state_dict", "current_model_state")  # with a moving average training continues with the second


class WholeCheckpoint(ModelCheckpoint):
    """Lightning's callback, but files (and the folders of sharded checkpoints) appear when they are complete.

    ``last.ckpt`` doesn't vanish when it is replaced: it becomes ``previous.ckpt``. What isn't finite is never
    written. Files are written behind the training, and are there when ``fit`` ends, by an error too.

    Attributes:
        writer: Writes the files.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writer = BackgroundWriter()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to save what can't be used.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            checkpoint: What is about to be saved.

        Raises:
            MisconfigurationException: If a weight or a buffer is NaN or infinite, on any device.
        """
        tensors = [
            (name, value)
            for state in _STATES
            for name, value in checkpoint.get(state, {}).items()
            if isinstance(value, Tensor)
        ]
        broken = None if norm_of(tensor for _, tensor in tensors).isfinite() else first_not_finite(tensors)
        if trainer.strategy.reduce_boolean_decision(broken is not None, all=False):
            raise MisconfigurationException(
                f"{broken or 'A weight or buffer on another device'} is NaN or infinite after step "
                f"{trainer.global_step}, which is not saved, so that the checkpoints before stay: lower "
                "model.learning_rate, or look at the images."
            )

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        if not writes_behind(trainer):
            self._save_at_once(trainer, Path(filepath))
            self._last_checkpoint_saved = filepath
            return
        usual = trainer.strategy.checkpoint_io
        trainer.strategy.checkpoint_io = self.writer  # type: ignore[assignment]
        try:
            super()._save_checkpoint(trainer, filepath)
        finally:
            trainer.strategy.checkpoint_io = usual  # whoever calls trainer.save_checkpoint expects the file

    def _save_at_once(self, trainer: Trainer, path: Path) -> None:
        draft = draft_of(path)
        try:
            if trainer.is_global_zero:
                path.parent.mkdir(parents=True, exist_ok=True)
                whole_file.remove(draft)
            super()._save_checkpoint(trainer, str(draft))
            if trainer.is_global_zero:
                whole_file.publish(draft, path)
        except OSError as error:
            raise not_written(path, error) from error

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the files; Lightning would save here, even in a ``fast_dev_run``, but the last epoch has.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self.writer.teardown()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Wait for the files; arguments as in ``on_train_end``, and the exception."""
        try:
            self.writer.teardown()
        except MisconfigurationException as error:
            if error is not exception:
                rank_zero_warn(str(error))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Don't warn of checkpoints in the folder: they are those of the run that continues.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit`` or another.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            super().setup(trainer, pl_module, stage)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume; a run's folder may have been moved, or be named in another way than when it began.

        Lightning forgets the best score when the folder's name differs, and would then overwrite the best checkpoint
        with a worse one.

        Args:
            state_dict: The saved state.
        """
        folder = str(self.dirpath)
        best = Path(state_dict["best_model_path"]).name
        if not best or not (Path(folder) / best).exists():
            return  # another run's checkpoint begins a run of its own, whose best is still to come

        def moved(path: str) -> str:
            return str(Path(folder) / Path(path).name) if path else path

        state = {
            **state_dict,
            "dirpath": folder,
            "best_model_path": moved(state_dict["best_model_path"]),
            "kth_best_model_path": moved(state_dict["kth_best_model_path"]),
            "last_model_path": moved(state_dict["last_model_path"]),
            "best_k_models": {moved(path): score for path, score in state_dict["best_k_models"].items()},
        }
        super().load_state_dict(state)
