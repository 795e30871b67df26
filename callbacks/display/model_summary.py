"""Prints what is about to be trained, in a few lines."""

from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelSummary as LightningModelSummary
from lightning.pytorch.utilities import rank_zero_info

from lightning_modules import ImageClassifier
from runs.commands import address


class ModelSummary(LightningModelSummary):
    """Prints the backbone, its weights, and the parameters of each group of layers.

    Lightning's own table has a row for each metric and loss, which have no parameters, and counts FLOPs that nobody
    has measured.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the lines; of other modules than a classifier, Lightning's.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        if isinstance(pl_module, ImageClassifier):
            rank_zero_info("\n".join(describe(pl_module, trainer.ckpt_path)))
        else:
            super().on_fit_start(trainer, pl_module)


def describe(module: ImageClassifier, checkpoint: str | Path | None = None) -> list[str]:
    """Describe a classifier.

    Args:
        module: The classifier.
        checkpoint: What its weights were loaded from, if it wasn't from where its own argument says.

    Returns:
        Lines of less than 80 characters, unless names are long.
    """
    weights = "random weights" if module.hparams["weights"] is None else f"weights {module.hparams['weights']}"
    if checkpoint is not None:
        weights = f"weights of {address(Path(checkpoint))}"
    counts = {
        group: sum(parameter.numel() for parameter in module.layers.parameters(group)) for group in module.group_names
    }
    total = sum(counts.values())
    trained = total - sum(counts[group] for group in module.frozen_groups)
    share = "all trained" if trained == total else f"{_millions(trained)} trained at first"
    width = max(map(len, counts))
    return [
        f"{module.hparams['backbone']}, {weights}, {len(module.class_names)} classes",
        f"{_millions(total)} parameters, {share}:",
        *(
            f"  {group:{width}} {_millions(count):>10}{'  frozen' if group in module.frozen_groups else ''}"
            for group, count in counts.items()
        ),
    ]


def _millions(count: int) -> str:
    return f"{count / 1e6:.3f} M"
