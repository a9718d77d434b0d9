"""What a trained energy is good for: each task is a start plus a constraint (Sec. 4).

    task          starts at                 constraint
    generate      noise, coarsest level     none
    interpolate   between two such starts   none
    denoise       the noisy image           none
    inpaint       noise in the hole         known pixels are put back
    translate     the source image          none
    reconstruct   what leads to the image   none
    restore       noise, or images          what was measured

All run the same `Chain`. They take energies, functions of images that return one number
per image, **low = likely**; a `keras_cfebm.network.EnergyNetwork` is one. Images are
floats in [-1, 1], channels last. Image `i` of a call depends on `seed` and `start + i`
only, never on the images beside it.
"""

from keras_cfebm.tasks import energies
from keras_cfebm.tasks.anomaly import AnomalyDetector, anomaly_scores
from keras_cfebm.tasks.chain import Chain, ChainState
from keras_cfebm.tasks.coarse_pool import CoarsePool, coarse_samples
from keras_cfebm.tasks.defects import neighbour_map
from keras_cfebm.tasks.generation import (
    chain_states,
    generate,
    generate_with_chain,
    interpolate,
)
from keras_cfebm.tasks.inverse_problems import Restoration, restore
from keras_cfebm.tasks.ladder_detector import LadderDetector
from keras_cfebm.tasks.masks import hole_masks
from keras_cfebm.tasks.normality import Normality
from keras_cfebm.tasks.operators import (
    Grey,
    Identity,
    Mask,
    MeanPool,
    Operator,
    operator_of,
)
from keras_cfebm.tasks.reconstruction import Reconstruction, reconstruct
from keras_cfebm.tasks.restoration import add_noise, denoise, inpaint
from keras_cfebm.tasks.translation import translate

__all__ = [
    "AnomalyDetector",
    "Chain",
    "ChainState",
    "CoarsePool",
    "Grey",
    "Identity",
    "LadderDetector",
    "Mask",
    "MeanPool",
    "Normality",
    "Operator",
    "Reconstruction",
    "Restoration",
    "add_noise",
    "anomaly_scores",
    "chain_states",
    "coarse_samples",
    "denoise",
    "energies",
    "generate",
    "generate_with_chain",
    "hole_masks",
    "inpaint",
    "interpolate",
    "neighbour_map",
    "operator_of",
    "reconstruct",
    "restore",
    "translate",
]
