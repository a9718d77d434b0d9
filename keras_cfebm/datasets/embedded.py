"""The embedded image set: 12,000 images of Fashion-MNIST in this package.

`keras_cfebm.assets.make_fashion_mnist` makes it.
"""

import pathlib

#: The name by which `load` knows it.
EMBEDDED = "fashion_mnist_embedded"
#: What is shipped with the package, and where.
ARCHIVE = pathlib.Path(__file__).parents[1] / "assets" / "fashion_mnist_12k.npz"
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
