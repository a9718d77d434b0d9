"""The names of the package."""

import subprocess
import sys

import keras_cfebm

NAMES = [
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
    "tasks",
    "train",
    "visualization",
]


def test_the_public_names_and_no_other_are_shown():
    assert dir(keras_cfebm) == keras_cfebm.__all__ == NAMES
    for name in NAMES:
        assert getattr(keras_cfebm, name) is not None


def test_a_name_is_imported_when_it_is_used():
    code = (
        "import sys, keras_cfebm\n"
        "assert 'keras' not in sys.modules\n"
        "assert keras_cfebm.CFEBM.__module__ == 'keras_cfebm.model'\n"
        "assert 'keras' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
