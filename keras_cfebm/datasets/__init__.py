"""Image sets of every kind as float32 in [-1, 1], at any coarser resolution.

`load` finds an image set by name or path and returns an `ImageData`, whose `batches`
method is what training reads.
"""

from keras_cfebm.datasets.arrays import from_arrays, from_file
from keras_cfebm.datasets.folder import from_folder
from keras_cfebm.datasets.folder_splits import default_split
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.loading import EMBEDDED, load, test_split
from keras_cfebm.datasets.pairing import pairs
from keras_cfebm.datasets.pipeline import reading_errors
from keras_cfebm.datasets.pixels import downsample, to_float, to_uint8
from keras_cfebm.datasets.resize import resize_images
from keras_cfebm.datasets.tfds import from_tfds

__all__ = [
    "EMBEDDED",
    "ImageData",
    "default_split",
    "downsample",
    "from_arrays",
    "from_file",
    "from_folder",
    "from_tfds",
    "load",
    "pairs",
    "reading_errors",
    "resize_images",
    "test_split",
    "to_float",
    "to_uint8",
]
