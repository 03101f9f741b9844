"""Floor 6: the training loop, with its checkpoints, its record and its progress."""

from refdet.training.errors import DivergenceError, Interrupted, OtherRunError, TrainingError
from refdet.training.loop import TrainingResult, train
from refdet.training.metrics_log import EvaluationLine, History, StepLine, read_metrics
from refdet.training.progress import Progress, ProgressBar, ProgressLines
from refdet.training.run import Evaluate, Losses
from refdet.training.run_folder import read_weights
from refdet.training.run_state import Best
from refdet.training.settings import TrainingSettings

__all__ = [
    "Best",
    "DivergenceError",
    "Evaluate",
    "EvaluationLine",
    "History",
    "Interrupted",
    "Losses",
    "OtherRunError",
    "Progress",
    "ProgressBar",
    "ProgressLines",
    "StepLine",
    "TrainingError",
    "TrainingResult",
    "TrainingSettings",
    "read_metrics",
    "read_weights",
    "train",
]
