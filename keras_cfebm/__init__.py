"""Coarse-to-fine energy-based image models for Keras 3."""

from keras_cfebm.version import __version__

__all__ = ["__version__"]
