"""What may be added to or left out of a run."""

from callbacks.checkpoint import Checkpoint
from callbacks.confusion_matrix import ConfusionMatrix
from callbacks.early_stopping import EarlyStopping
from callbacks.gradual_unfreezing import GradualUnfreezing
from callbacks.learning_rates import LearningRates
from callbacks.prediction_file import PredictionFile
from callbacks.run_config import RunConfig
from callbacks.score_file import ScoreFile
from callbacks.test_time_augmentation import TestTimeAugmentation

__all__ = [
    "Checkpoint",
    "ConfusionMatrix",
    "EarlyStopping",
    "GradualUnfreezing",
    "LearningRates",
    "PredictionFile",
    "RunConfig",
    "ScoreFile",
    "TestTimeAugmentation",
]
