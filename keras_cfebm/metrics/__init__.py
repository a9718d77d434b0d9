"""Figures of merit: of samples, of anomaly detection, of restoration.

Images are floats in [-1, 1], channels last; scores are HIGH = anomalous. The encoder in
whose features samples are compared is injected, and recorded beside each figure.
"""

from keras_cfebm.metrics.classifier import FashionClassifier, fashion_classifier
from keras_cfebm.metrics.detection import detection_figures, threshold_at
from keras_cfebm.metrics.encoders import Encoder, Expects, weights_hash
from keras_cfebm.metrics.evaluation import controls, evaluate_samples, pixelate
from keras_cfebm.metrics.fashion import fashion_mnist_figures
from keras_cfebm.metrics.frechet import frechet_distance
from keras_cfebm.metrics.inception import inception_encoder
from keras_cfebm.metrics.kernel import kernel_distance
from keras_cfebm.metrics.neighbours import nearest_neighbours
from keras_cfebm.metrics.restoration import psnr, ssim
from keras_cfebm.metrics.statistics import FeatureStatistics, cached_statistics

__all__ = [
    "Encoder",
    "Expects",
    "FashionClassifier",
    "FeatureStatistics",
    "cached_statistics",
    "controls",
    "detection_figures",
    "evaluate_samples",
    "fashion_classifier",
    "fashion_mnist_figures",
    "frechet_distance",
    "inception_encoder",
    "kernel_distance",
    "nearest_neighbours",
    "pixelate",
    "psnr",
    "ssim",
    "threshold_at",
    "weights_hash",
]
