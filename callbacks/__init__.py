"""Callbacks: parts of a run that can be switched on or off."""

from callbacks.calibration import Calibration
from callbacks.display.data_wait import DataWait
from callbacks.display.learning_rates import LearningRates
from callbacks.display.model_summary import ModelSummary
from callbacks.display.overview import Overview
from callbacks.display.preview import Preview
from callbacks.display.progress_bar import ProgressBar
from callbacks.distillation import Distillation
from callbacks.early_stopping import EarlyStopping
from callbacks.evaluation.confusion_matrix import ConfusionMatrix
from callbacks.evaluation.prediction_file import PredictionFile
from callbacks.evaluation.report import Report
from callbacks.evaluation.score_file import ScoreFile
from callbacks.exponential_moving_average import ExponentialMovingAverage
from callbacks.finders.batch_size_finder import BatchSizeFinder
from callbacks.finders.learning_rate_finder import LearningRateFinder
from callbacks.finite_loss import FiniteLoss
from callbacks.gradual_unfreezing import GradualUnfreezing
from callbacks.progressive_resizing import ProgressiveResizing
from callbacks.run_config import RunConfig
from callbacks.run_history import RunHistory
from callbacks.saving.checkpoint import Checkpoint
from callbacks.skipped_images import SkippedImages
from callbacks.test_time_augmentation import TestTimeAugmentation

__all__ = [
    "BatchSizeFinder",
    "Calibration",
    "Checkpoint",
    "ConfusionMatrix",
    "DataWait",
    "Distillation",
    "EarlyStopping",
    "ExponentialMovingAverage",
    "FiniteLoss",
    "GradualUnfreezing",
    "LearningRateFinder",
    "LearningRates",
    "ModelSummary",
    "Overview",
    "PredictionFile",
    "Preview",
    "ProgressBar",
    "ProgressiveResizing",
    "Report",
    "RunConfig",
    "RunHistory",
    "ScoreFile",
    "SkippedImages",
    "TestTimeAugmentation",
]
