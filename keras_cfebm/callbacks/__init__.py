"""Keras callbacks: progress, logs, samples, checkpoints, the guard, signals."""

from keras_cfebm.callbacks.best_ladder import BestLadder
from keras_cfebm.callbacks.checkpoints import CheckpointError, Checkpoints
from keras_cfebm.callbacks.guard import DivergenceError, DivergenceGuard
from keras_cfebm.callbacks.log import EnergyLog
from keras_cfebm.callbacks.progress import StageProgress
from keras_cfebm.callbacks.samples import SampleGrid
from keras_cfebm.callbacks.signals import Interrupted, StopOnSignal

__all__ = [
    "BestLadder",
    "CheckpointError",
    "Checkpoints",
    "DivergenceError",
    "DivergenceGuard",
    "EnergyLog",
    "Interrupted",
    "SampleGrid",
    "StageProgress",
    "StopOnSignal",
]
