"""Coarse-to-fine energy-based image models for Keras 3.

An energy maps images to numbers, **low = likely**: p(x) = exp(−E(x)) / Z. The modules
read in this order: `layers`, `network`, `sampling`, `model`, `growing`; then `tasks`.
"""

from keras_cfebm import datasets, evaluation, tasks, visualization
from keras_cfebm.configs.run_config import DataConfig, NetworkConfig, RunConfig
from keras_cfebm.configs.stages import Stage, default_stages
from keras_cfebm.growing import fit_progressively
from keras_cfebm.layers import (
    EnergyHead,
    ExpandBlock,
    FadeBlock,
    PrimalBlock,
    ResidualBlock,
    SpectralConv2D,
)
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.runs.run_folder import load_ladder
from keras_cfebm.runs.train import train
from keras_cfebm.sampling import (
    Langevin,
    coarse_to_fine,
    langevin,
    langevin_step,
)
from keras_cfebm.serving.export import export_saved_model
from keras_cfebm.utils.version import __version__

__all__ = [
    "CFEBM",
    "DataConfig",
    "EnergyHead",
    "EnergyNetwork",
    "ExpandBlock",
    "FadeBlock",
    "Langevin",
    "NetworkConfig",
    "PrimalBlock",
    "ResidualBlock",
    "RunConfig",
    "SpectralConv2D",
    "Stage",
    "__version__",
    "coarse_to_fine",
    "datasets",
    "default_stages",
    "evaluation",
    "export_saved_model",
    "fit_progressively",
    "langevin",
    "langevin_step",
    "load_ladder",
    "metrics",
    "tasks",
    "train",
    "visualization",
]
