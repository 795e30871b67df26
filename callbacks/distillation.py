"""Trains a network to answer as another one does."""

from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import ImageClassifier
from lightning_modules.training.teacher import Teacher
from runs.finding import named_path
from runs.remote_file import is_url


class Distillation(Callback):
    """Adds to the training loss the cross-entropy with the answers of a trained classifier.

    This is distillation as Hinton et al. (2015) have it, at a temperature of 1.

    The teacher answers for the very images of a step, cropped, jittered and mixed as the student sees them (Beyer et
    al., Knowledge Distillation: A Good Teacher Is Patient and Consistent, 2022). It may be a larger network, or an
    earlier run of the same one. It is needed for training alone, and costs one forward pass of it in each step.

    Args:
        teacher: The folder of its run or a checkpoint file; null trains on labels alone.
        weight: Share of its answers in the loss, from 0 to 1; labels have the rest, and theirs alone are smoothed
            and balanced.
    """

    def __init__(self, teacher: str | None = None, weight: float = 0.5) -> None:
        if not 0 <= weight <= 1:
            raise MisconfigurationException(f"distillation.weight is {weight}: it has to be from 0 to 1.")
        self.teacher = teacher
        self.weight = weight
        self._loaded: Teacher | None = None

    def load(self, module: ImageClassifier, logs: Path = Path("logs")) -> None:
        """Load the teacher; the command line does so before a run has a folder.

        Args:
            module: The classifier that learns from it.
            logs: The folder of all runs, from which the teacher may be named.

        Raises:
            MisconfigurationException: If it can't be read, or doesn't know a class.
        """
        if self.teacher is None:
            return
        source = self.teacher if is_url(self.teacher) else named_path(self.teacher, logs)
        try:
            model = ImageClassifier.load(source)
        except MisconfigurationException as error:
            raise MisconfigurationException(f"distillation.teacher: {error}") from error
        self._loaded = Teacher(model, module.class_names, module.normalize)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the classifier learn from the teacher, before the finders search, which Lightning calls first.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            stage: ``fit``; in others nothing is learned.
        """
        assert isinstance(pl_module, ImageClassifier)
        if stage != "fit":
            return
        if self._loaded is None:
            self.load(pl_module)
        if self._loaded is not None:
            pl_module.loss.learn_from(self._loaded.to(trainer.strategy.root_device), self.weight)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the teacher, whose memory what follows may need.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        assert isinstance(pl_module, ImageClassifier)
        pl_module.loss.learn_from(None)
        self._loaded = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the teacher; arguments as in ``on_fit_end``, and what ended the training."""
        self.on_fit_end(trainer, pl_module)
