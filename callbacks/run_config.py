"""Keeps the config of a run beside its results."""

from lightning import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from callbacks.run_folder import run_folder
from runs.whole_file import write_atomically


class RunConfig(SaveConfigCallback):
    """Writes ``config.yaml`` when a run begins, and never changes it afterwards.

    A resumed run, ``validate``, ``test`` and ``predict`` leave their own beside it (``resume-config.yaml``,
    ``test-config.yaml``, ...). None contains the checkpoint's path, so that a later command doesn't take an old one.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit``, ``validate``, ``test`` or ``predict``.
        """
        if self.already_saved:
            return
        self.already_saved = True
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        config = self.config.clone()
        resumed = config.get("ckpt_path") is not None
        config["ckpt_path"] = None
        name = "resume-config.yaml" if stage == "fit" else f"{TrainerFn(stage).value}-config.yaml"
        if stage == "fit" and not (resumed and (folder / "config.yaml").exists()):
            name = "config.yaml"
        write_atomically(folder / name, self.parser.dump(config, skip_unset=False))
