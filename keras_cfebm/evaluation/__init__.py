"""How well each task is done: figures beside simple baselines, and the images shown.

Each function takes energies, chains or images as arrays, and returns an `Evaluation`:
figures that JSON can hold, and images for a picture. The command line prints and draws
them; notebooks and benchmarks call the same functions.
"""

from keras_cfebm.evaluation.anomalies import ANOMALIES, anomaly_images
from keras_cfebm.evaluation.detection import (
    DetectionReport,
    LadderScore,
    evaluate_detection,
    mahalanobis_score,
    pca_score,
)
from keras_cfebm.evaluation.detection_figures import detection_figures, threshold_at
from keras_cfebm.evaluation.distances import FeatureStatistics, cached_statistics
from keras_cfebm.evaluation.encoders import Encoder, Expects, weights_hash
from keras_cfebm.evaluation.fashion_classifier import (
    FashionClassifier,
    fashion_classifier,
)
from keras_cfebm.evaluation.fashion_figures import fashion_mnist_figures
from keras_cfebm.evaluation.filters import FILTERS, filtered, inpainted
from keras_cfebm.evaluation.frechet import frechet_distance
from keras_cfebm.evaluation.generation import (
    evaluate_generation,
    evaluate_interpolations,
    evaluate_neighbours,
    reference_statistics,
)
from keras_cfebm.evaluation.image_quality import psnr, ssim
from keras_cfebm.evaluation.inception import inception_encoder
from keras_cfebm.evaluation.kernel import kernel_distance
from keras_cfebm.evaluation.neighbours import nearest_neighbours
from keras_cfebm.evaluation.restoration import (
    SIGMAS,
    evaluate_denoising,
    evaluate_inpainting,
)
from keras_cfebm.evaluation.result import Evaluation, mean_figures
from keras_cfebm.evaluation.saliency import saliency_maps
from keras_cfebm.evaluation.sample_figures import controls, evaluate_samples, pixelate
from keras_cfebm.evaluation.translation import evaluate_translation, pixel_correlation

__all__ = [
    "ANOMALIES",
    "FILTERS",
    "SIGMAS",
    "DetectionReport",
    "Encoder",
    "Evaluation",
    "Expects",
    "FashionClassifier",
    "FeatureStatistics",
    "LadderScore",
    "anomaly_images",
    "cached_statistics",
    "controls",
    "detection_figures",
    "evaluate_denoising",
    "evaluate_detection",
    "evaluate_generation",
    "evaluate_inpainting",
    "evaluate_interpolations",
    "evaluate_neighbours",
    "evaluate_samples",
    "evaluate_translation",
    "fashion_classifier",
    "fashion_mnist_figures",
    "filtered",
    "frechet_distance",
    "inception_encoder",
    "inpainted",
    "kernel_distance",
    "mahalanobis_score",
    "mean_figures",
    "nearest_neighbours",
    "pca_score",
    "pixel_correlation",
    "pixelate",
    "psnr",
    "reference_statistics",
    "saliency_maps",
    "ssim",
    "threshold_at",
    "weights_hash",
]
