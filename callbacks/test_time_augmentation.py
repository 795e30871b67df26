"""Averages predictions over several views of each image."""

from collections.abc import Iterator

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from lightning_modules import ImageClassifier
from lightning_modules.prediction.views import FLIP, SCALES, SHIFT, further_views


class TestTimeAugmentation(Callback):
    """Reports ``test_tta/...`` beside ``test/...`` in one pass, from the mean of the probabilities over all views.

    ``validate`` reports ``val_tta/...`` likewise, so that views can be chosen without looking at the test set; the
    validations within ``fit`` stay plain.

    A view changes whole batches, so row i of every view is image i. The plain image is always among the views; its
    logits serve the plain scores too.

    Args:
        enabled: Off switch.
        flip: See every crop mirrored as well.
        scales: Sides of the crops, as shares of the image's side; 1 is the whole image.
        shift: How far crops move from the centre towards each corner, as a share of the way there; 0 sees the centre
            only, more adds four views for each scale below 1.
        predict: Average the probabilities of ``predict`` too, not those of ``test`` alone.

    Raises:
        MisconfigurationException: If a scale or the shift is out of range.
    """

    __test__ = False  # pytest would take the class for a test

    def __init__(
        self,
        enabled: bool = True,
        flip: bool = FLIP,
        scales: list[float] | None = None,
        shift: float = SHIFT,
        predict: bool = False,
    ) -> None:
        self.enabled = enabled
        self.flip = flip
        self.scales = [*SCALES] if scales is None else scales
        self.shift = shift
        self.predict = predict
        if any(not 0 < scale <= 1 for scale in self.scales):
            raise MisconfigurationException(f"tta.scales is {self.scales}: each has to be above 0 and at most 1.")
        if not 0 <= shift <= 1:
            raise MisconfigurationException(f"tta.shift is {shift}: it has to be between 0 and 1.")

    def check_size(self, side: int) -> None:
        """Refuse crops of which nothing is left.

        Args:
            side: Side of the evaluation images in pixels.

        Raises:
            MisconfigurationException: If a crop has no pixel.
        """
        if self.enabled and round(min(self.scales, default=1.0) * side) < 1:
            raise MisconfigurationException(
                f"tta.scales is {self.scales}, which leaves nothing of images of {side} pixels: each has to be "
                f"{1 / side:.2g} or more."
            )

    def views(self, images: Tensor) -> Iterator[Tensor]:
        """Make the views, all but the plain image.

        Args:
            images: Pixels, uint8 of shape (batch, channels, height, width).

        Yields:
            Batches of the same shape.
        """
        yield from further_views(images, self.flip, self.scales, self.shift)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the views.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._install(pl_module, self.enabled)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the views for ``validate``; arguments as in ``on_test_start``."""
        self._install(pl_module, self.enabled and trainer.state.fn == "validate")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the views if ``predict`` asks for them; arguments as in ``on_test_start``."""
        self._install(pl_module, self.enabled and self.predict)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the views; arguments as in ``on_test_start``."""
        self._install(pl_module, False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the views; arguments as in ``on_test_start``."""
        self._install(pl_module, False)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the views; arguments as in ``on_test_start``."""
        self._install(pl_module, False)

    def _install(self, module: LightningModule, wanted: bool) -> None:
        assert isinstance(module, ImageClassifier)
        module.views = self.views if wanted else None
