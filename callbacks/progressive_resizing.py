"""Trains on small images first."""

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info

from callbacks.frozen_for_good import epochs_allowed
from lightning_modules import ImageClassifier


class ProgressiveResizing(Callback):
    """Shrinks training images on the device, less and less until they have their full size.

    Small images make quick steps; a network that has learned on them needs few epochs of large ones (Howard, fast.ai's
    DAWNBench entry, 2018; Tan & Le, EfficientNetV2, 2021, section 4). The side follows from the epoch alone.

    Args:
        start: Side of the images in the first epoch, as a share of ``data.image_size``; null shrinks none.
        until: Share of the epochs after which images have their full size.
        multiple: Sides are rounded to multiples of so many pixels.
    """

    def __init__(self, start: float | None = None, until: float = 0.7, multiple: int = 32) -> None:
        if start is not None and not 0 < start < 1:
            raise MisconfigurationException(
                f"progressive_resizing.start is {start}: it has to lie between 0 and 1, or be null."
            )
        if not 0 < until <= 1:
            raise MisconfigurationException(
                f"progressive_resizing.until is {until}: it has to be above 0 and at most 1."
            )
        if multiple < 1:
            raise MisconfigurationException(f"progressive_resizing.multiple is {multiple}: it has to be 1 or more.")
        self.start = start
        self.until = until
        self.multiple = multiple

    def side(self, image_size: int, epoch: int, epochs: int) -> int:
        """Say how large training images are in an epoch.

        Args:
            image_size: Their full side in pixels.
            epoch: The epoch, counted from 0.
            epochs: Number of epochs of the run.

        Returns:
            The side in pixels.
        """
        if self.start is None or epoch >= self.until * epochs:
            return image_size
        share = self.start + (1 - self.start) * epoch / (self.until * epochs)
        return min(image_size, max(self.multiple, round(share * image_size / self.multiple) * self.multiple))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the size for a resumed epoch, which Lightning doesn't announce.

        Args:
            trainer: The trainer.
            pl_module: The classifier.

        Raises:
            MisconfigurationException: If the network takes images of one size only.
        """
        assert isinstance(pl_module, ImageClassifier)
        if self.start is None:
            pl_module.train_size = None  # which an earlier training may have left
            return
        self.on_train_epoch_start(trainer, pl_module)
        side = pl_module.train_size or int(pl_module.hparams["image_size"])
        pl_module.eval()
        try:
            with torch.inference_mode(), pl_module.logits.eagerly():
                pl_module(torch.zeros(1, 3, side, side, dtype=torch.uint8, device=pl_module.device))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise MisconfigurationException(
                f"progressive_resizing can't shrink images for {pl_module.hparams['backbone']}, which takes one size: "
                f"set progressive_resizing.start to null."
            ) from error
        pl_module.train()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the size for an epoch; arguments as in ``on_train_start``.

        Raises:
            MisconfigurationException: If the number of epochs is unknown.
        """
        if self.start is None:
            return
        epochs = epochs_allowed(trainer)
        if epochs is None:
            raise MisconfigurationException(
                "progressive_resizing needs to know the run's length: set trainer.max_epochs or max_steps."
            )
        assert isinstance(pl_module, ImageClassifier)
        image_size = int(pl_module.hparams["image_size"])
        side = self.side(image_size, trainer.current_epoch, epochs)
        size = None if side == image_size else side
        if pl_module.train_size != size:
            rank_zero_info(f"Epoch {trainer.current_epoch}: training on images of {side} pixels")
        pl_module.train_size = size
