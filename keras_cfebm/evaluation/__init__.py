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
from keras_cfebm.evaluation.filters import FILTERS, filtered, inpainted
from keras_cfebm.evaluation.generation import (
    evaluate_generation,
    evaluate_interpolations,
    evaluate_neighbours,
    reference_statistics,
)
from keras_cfebm.evaluation.report import Evaluation, mean_figures
from keras_cfebm.evaluation.restoration import (
    SIGMAS,
    evaluate_denoising,
    evaluate_inpainting,
)
from keras_cfebm.evaluation.saliency import saliency_maps
from keras_cfebm.evaluation.translation import evaluate_translation, pixel_correlation

__all__ = [
    "ANOMALIES",
    "FILTERS",
    "SIGMAS",
    "DetectionReport",
    "Evaluation",
    "LadderScore",
    "anomaly_images",
    "evaluate_denoising",
    "evaluate_detection",
    "evaluate_generation",
    "evaluate_inpainting",
    "evaluate_interpolations",
    "evaluate_neighbours",
    "evaluate_translation",
    "filtered",
    "inpainted",
    "mahalanobis_score",
    "mean_figures",
    "pca_score",
    "pixel_correlation",
    "reference_statistics",
    "saliency_maps",
]
