"""Looks for a learning rate before training."""

import math

import numpy as np
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LearningRateFinder as LightningLearningRateFinder
from matplotlib.figure import Figure

from callbacks.finders.learning_rate_valley import suggestion, unbiased
from callbacks.gradual_unfreezing import GradualUnfreezing
from callbacks.run_folder import report_figure
from lightning_modules import ImageClassifier


class LearningRateFinder(LightningLearningRateFinder):
    """Raises the learning rate step by step, draws the loss over it, names a good rate, and ends.

    Smith, Cyclical Learning Rates, 2017, section 3.3. A search isn't a run: the suggestion is printed, with the figure
    that it is read from, and not used. Layers that the schedule freezes stay frozen, and layer-wise rates keep
    their ratio to the head's, which is the one reported.

    Args:
        enabled: Search instead of training.
        min_lr: Lowest rate.
        max_lr: Highest rate.
        steps: Number of rates between them.
        epoch: Search with the layers frozen that are frozen in this epoch.

    Raises:
        MisconfigurationException: If a number is out of range.
    """

    def __init__(
        self, enabled: bool = False, min_lr: float = 1e-6, max_lr: float = 1.0, steps: int = 100, epoch: int = 0
    ) -> None:
        if not 0 < min_lr < max_lr < math.inf:
            raise MisconfigurationException(
                f"lr_finder goes from min_lr {min_lr} to max_lr {max_lr}: they have to rise."
            )
        if steps < 20:
            raise MisconfigurationException(f"lr_finder.steps is {steps}: it needs at least 20.")
        if epoch < 0:
            raise MisconfigurationException(f"lr_finder.epoch is {epoch}: epochs are counted from 0.")
        super().__init__(min_lr, max_lr, steps, update_attr=False)
        self.enabled = enabled
        self.epoch = epoch
        self._early_exit = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Search, report and end the run.

        Args:
            trainer: The trainer.
            pl_module: The classifier.

        Raises:
            MisconfigurationException: If it isn't known what is frozen in the epoch, or no loss is finite.
        """
        if not self.enabled or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        assert isinstance(pl_module, ImageClassifier)
        if not pl_module.hparams["learning_rate"]:
            raise MisconfigurationException(
                "model.learning_rate is 0, from which lr_finder can't tell the ratios between the rates of the layers: "
                "give any larger one."
            )
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, GradualUnfreezing):
                if callback.patience is not None and self.epoch:
                    raise MisconfigurationException(
                        f"lr_finder.epoch is {self.epoch}, but with unfreezing.patience it isn't known what is frozen "
                        "then: list the epochs by unfreezing.epochs, or leave lr_finder.epoch at 0."
                    )
                callback.freeze_for(trainer, pl_module, self.epoch)
        epochs, trainer.fit_loop.max_epochs = trainer.fit_loop.max_epochs, -1  # the search goes by steps alone
        try:
            self.lr_find(trainer, pl_module)
        finally:
            trainer.fit_loop.max_epochs = epochs
            self._report(trainer)

    def _report(self, trainer: Trainer) -> None:
        if self.optimal_lr is None:
            return
        rates = np.array(self.optimal_lr.results["lr"])
        losses = unbiased(np.array(self.optimal_lr.results["loss"]))
        if not np.isfinite(losses).any():
            raise MisconfigurationException(
                f"The training loss is {losses[0]} from the lowest learning rate on, {rates[0]:.1e}: look at the "
                "images, and at model.weights."
            )
        rate, lowest = suggestion(rates, losses), int(np.nanargmin(losses))
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(rates, losses)
        title = "no clear valley"
        line = (
            f"no clear valley in {len(losses)} steps: too noisy, give more steps (lr_finder.steps), or another range "
            "if no rate lowers the loss"
        )
        if rate is not None:
            axes.axvline(rate, color="tab:red")
            title = f"{rate:.1e}, the middle of the longest valley"
            line = f"suggested: --model.learning_rate {rate:.1e}, the middle of the longest valley of the loss"
        bottom, top = losses[lowest], np.nanmax(losses[: lowest + 1])
        axes.set(xscale="log", xlabel="learning rate of the head", ylabel="training loss, smoothed", title=title)
        axes.set_ylim(bottom - 0.2 * (top - bottom) - 0.01, top + 0.5 * (top - bottom) + 0.01)
        axes.grid(alpha=0.3)
        report_figure(trainer, "learning_rate_finder", figure, line)
