"""Saves the best and the last state of a run."""

from pathlib import Path
from typing import Any, Literal

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class Checkpoint(ModelCheckpoint):
    """Writes ``checkpoints/best.ckpt`` whenever the monitored score improves, and ``checkpoints/last.ckpt`` each epoch.

    Args:
        monitor: Name of the score.
        mode: ``max`` if more is better, else ``min``.
        save_weights_only: Leave out what it takes to resume, the optimizer's state above all.
    """

    def __init__(
        self, monitor: str = "val/f1", mode: Literal["min", "max"] = "max", save_weights_only: bool = False
    ) -> None:
        super().__init__(
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            save_weights_only=save_weights_only,
            auto_insert_metric_name=False,  # the slash in val/f1 would make folders
            enable_version_counter=False,
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save; the last state too when it is not the best, which Lightning's ``save_last`` leaves out.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        super().on_train_epoch_end(trainer, pl_module)
        if not self._should_skip_saving_checkpoint(trainer):  # nothing has been saved at this step
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what the last epoch left to be saved; Lightning does so even in a ``fast_dev_run``.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            super().on_train_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume; a run's folder may have been moved, or be named in another way than when it began.

        Lightning forgets the best score when the folder's name differs, and would then overwrite the best checkpoint
        with a worse one.

        Args:
            state_dict: The saved state.
        """
        folder = str(self.dirpath)
        if not (Path(folder) / Path(state_dict["best_model_path"]).name).is_file():
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
