"""Calibrates probabilities by temperature scaling."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_modules import ImageClassifier
from lightning_modules.prediction.temperature import ValidationLogits


class Calibration(Callback):
    """Fits a temperature in each validation of ``fit`` (Guo et al., 2017), and keeps it in the checkpoints.

    ``validate``, ``test``, ``predict`` and ``classify`` divide logits by it; ``val/loss`` and ``test/loss`` are
    computed without it. First answers stay the same, but for those over several views, which are means.

    Args:
        enabled: Off switch; without it, probabilities are the softmax of the logits.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._kept: ValidationLogits | None = None
        self._seen = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the temperature, if it isn't wanted.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._switch_off(pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the temperature, if it isn't wanted; arguments as in ``on_fit_start``."""
        self._switch_off(pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the temperature, if it isn't wanted; arguments as in ``on_fit_start``."""
        self._switch_off(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to collect logits in ``fit``; arguments as in ``on_fit_start``."""
        self._switch_off(pl_module)
        self._kept, self._seen = None, 0
        if self.enabled and trainer.state.fn == "fit" and not trainer.sanity_checking:
            assert isinstance(pl_module, ImageClassifier)
            self._kept = ValidationLogits(len(pl_module.class_names)).to(pl_module.device)
            dataset = getattr(trainer.val_dataloaders, "dataset", ())
            self._kept.space(len(dataset) if hasattr(dataset, "__len__") else 0)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the logits of a batch.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
            outputs: What the classifier made of the batch.
            batch: Images and labels.
            batch_idx: Its number.
            dataloader_idx: Number of its loader.
        """
        if self._kept is not None:
            labels: Tensor = batch[1]
            self._kept.update(outputs["logits"], labels, self._seen)
            self._seen += len(labels)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit the temperature, before a checkpoint is saved; arguments as in ``on_fit_start``."""
        if self._kept is not None:
            assert isinstance(pl_module, ImageClassifier)
            pl_module.fitted = self._kept.compute()  # collective: on all devices
            self._kept = None

    def _switch_off(self, module: LightningModule) -> None:
        if not self.enabled:
            assert isinstance(module, ImageClassifier)
            module.fitted = module.fitted.uncalibrated()
