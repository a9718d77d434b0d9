"""① The Expand block and its parts (Sec. 3.1, Fig. 2 of the CF-EBM paper).

    Expand(x) = β · Primal(x) + (1 − β) · Fade(x)

Every layer has one path: `bind()` does the work that depends on the weights only
(spectral normalisation, kernels composed of two others) and returns a plain function;
calling the layer is `bind()(x)`. A Langevin chain binds once, and then calls that
function at each step.

Three exact rewrites make the blocks several times cheaper than their definition, with
the same weights and the same function:

1. A 3×3 convolution and 2×2 mean pooling are one stride-2 convolution of the image
   filtered by a 2×2 box: a quarter of the multiplications.
2. Mean pooling and a 1×1 convolution commute, so the skip path pools first.
3. A 1×1 convolution followed by a 3×3 one is a single 3×3 convolution with the product
   kernel. A constant-one channel carries the bias of the first, so that it too vanishes
   in the zero padding of the second.
"""

from keras_cfebm.layers.blocks import PrimalBlock, ResidualBlock
from keras_cfebm.layers.convolution import SpectralConv2D, conv_mean_pool, mean_pool
from keras_cfebm.layers.expand import ExpandBlock, FadeBlock
from keras_cfebm.layers.head import EnergyHead

__all__ = [
    "EnergyHead",
    "ExpandBlock",
    "FadeBlock",
    "PrimalBlock",
    "ResidualBlock",
    "SpectralConv2D",
    "conv_mean_pool",
    "mean_pool",
]
