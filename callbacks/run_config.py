"""Keeps the config of a run beside its results, and in its checkpoints."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

from callbacks.run_folder import run_folder
from runs.run import CONFIG, RESUMED_CONFIG
from runs.whole_file import write_atomically


class RunConfig(Callback):
    """Writes ``config.yaml`` when a run or an evaluation begins, and never changes it afterwards.

    A resumed run leaves its own beside it, ``resume-config.yaml``. Checkpoints hold the config too, so that one alone
    is enough on another machine.

    Args:
        config: YAML.
        resumed: Whether a run continues.
    """

    def __init__(self, config: str, resumed: bool = False) -> None:
        self.config = config
        self.resumed = resumed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit``, ``validate``, ``test`` or ``predict``.
        """
        folder = run_folder(trainer)
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        name = RESUMED_CONFIG if self.resumed and (folder / CONFIG).is_file() else CONFIG
        write_atomically(folder / name, self.config)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the config into a checkpoint.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            checkpoint: What is about to be saved; changed in place.
        """
        checkpoint["config"] = self.config
