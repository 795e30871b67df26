"""The callbacks that every run has, and defaults where they aren't Lightning's."""

from typing import Any

from lightning import Callback
from lightning.pytorch.cli import LightningArgumentParser

from callbacks import (
    BatchSizeFinder,
    Calibration,
    Checkpoint,
    ConfusionMatrix,
    DataWait,
    Distillation,
    EarlyStopping,
    ExponentialMovingAverage,
    FiniteLoss,
    GradualUnfreezing,
    LearningRateFinder,
    LearningRates,
    Overview,
    PredictionFile,
    Preview,
    ProgressiveResizing,
    Report,
    ScoreFile,
    SkippedImages,
    TestTimeAugmentation,
)
from command_line import loggers

CALLBACKS: dict[str, type[Callback]] = {
    "checkpoint": Checkpoint,
    "early_stopping": EarlyStopping,
    "unfreezing": GradualUnfreezing,
    "ema": ExponentialMovingAverage,
    "distillation": Distillation,
    "progressive_resizing": ProgressiveResizing,
    "lr_finder": LearningRateFinder,
    "batch_size_finder": BatchSizeFinder,
    "finite_loss": FiniteLoss,
    "learning_rates": LearningRates,
    "data_wait": DataWait,
    "tta": TestTimeAugmentation,
    "calibration": Calibration,
    "confusion_matrix": ConfusionMatrix,
    "overview": Overview,
    "predictions": PredictionFile,
    "previews": Preview,
    "skipped": SkippedImages,
    "scores": ScoreFile,
    "report": Report,  # after the scores, which needn't wait for it
}
TRAINER_DEFAULTS: dict[str, Any] = {
    "logger": {
        "class_path": loggers.TENSORBOARD,
        "init_args": {"save_dir": loggers.DEFAULT_FOLDER, "name": None, "default_hp_metric": False},
    },
    "use_distributed_sampler": False,  # the data modules shard by themselves, without repeating samples
}
RUN_DEFAULTS = {
    "weights_only": True,  # a checkpoint must not run code, not even one from a URL, where Lightning would let it
    "verbose": False,  # ScoreFile prints a shorter table
    "return_predictions": False,  # PredictionFile writes them; kept as well, they would fill the memory
}


def add_evaluation_options(parser: LightningArgumentParser, command: str) -> None:
    """Add the options that evaluations have and ``fit`` hasn't.

    Args:
        parser: The parser of the command.
        command: ``validate``, ``test`` or ``predict``.
    """
    what = "File (.csv or .jsonl)" if command == "predict" else "Folder"
    parser.add_argument("--output", type=str | None, default=None, help=f"{what} to write (default: in the run).")
    if command != "predict":
        text = "Folder with pictures of none of the classes, to see how well they are told from the others."
        parser.add_argument("--unknown", type=str | None, default=None, help=text)
