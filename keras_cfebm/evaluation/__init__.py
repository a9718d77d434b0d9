"""How well each task is done: figures beside simple baselines, and the images shown.

Each function takes energies, chains or images as arrays, and returns an `Evaluation`:
figures that JSON can hold, and images for a picture. The command line prints and draws
them; notebooks and benchmarks call the same functions.
"""

from keras_cfebm.evaluation.anomalies import (
    ANOMALIES,
    FAR_ANOMALIES,
    KNOWN_ANOMALIES,
    NEAR_ANOMALIES,
    anomaly_images,
)
from keras_cfebm.evaluation.control_images import (
    controls,
    fashion_mnist_figures,
    pixelate,
)
from keras_cfebm.evaluation.defect_protocol import DEFECTS, damaged, evaluate_defects
from keras_cfebm.evaluation.detail import blind_to_detail, finest_detail
from keras_cfebm.evaluation.detection_baselines import (
    isolation_forest_score,
    mahalanobis_score,
    neighbour_score,
    pca_score,
)
from keras_cfebm.evaluation.detection_protocol import (
    DetectionReport,
    EnergySum,
    detection_figures,
    evaluate_detection,
)
from keras_cfebm.evaluation.diagnosis import Diagnosis, diagnose
from keras_cfebm.evaluation.distances import frechet_distance, kernel_distance
from keras_cfebm.evaluation.emoji_encoder import emoji_encoder
from keras_cfebm.evaluation.encoders import Encoder, Expects, weights_hash
from keras_cfebm.evaluation.fashion_classifier import (
    FashionClassifier,
    fashion_classifier,
)
from keras_cfebm.evaluation.feature_statistics import (
    FeatureStatistics,
    cached_statistics,
)
from keras_cfebm.evaluation.filters import FILTERS, filtered, inpainted
from keras_cfebm.evaluation.generation_protocol import (
    evaluate_generation,
    evaluate_interpolations,
    evaluate_samples,
    reference_statistics,
)
from keras_cfebm.evaluation.image_quality import mean_figures, mean_ssim, psnr, ssim
from keras_cfebm.evaluation.inception import inception_encoder
from keras_cfebm.evaluation.inverse_protocol import (
    baselines,
    deviation_correlation,
    evaluate_restoration,
)
from keras_cfebm.evaluation.mixing import effective_sample_size, split_r_hat
from keras_cfebm.evaluation.neighbours import evaluate_neighbours, nearest_neighbours
from keras_cfebm.evaluation.random_encoder import random_encoder
from keras_cfebm.evaluation.restoration_protocol import (
    SIGMAS,
    evaluate_denoising,
    evaluate_inpainting,
)
from keras_cfebm.evaluation.result import Evaluation
from keras_cfebm.evaluation.saliency_protocol import saliency_maps
from keras_cfebm.evaluation.translation_protocol import (
    evaluate_translation,
    pixel_correlation,
)
from keras_cfebm.tasks.anomaly import threshold_at

__all__ = [
    "ANOMALIES",
    "DEFECTS",
    "FAR_ANOMALIES",
    "FILTERS",
    "KNOWN_ANOMALIES",
    "NEAR_ANOMALIES",
    "SIGMAS",
    "DetectionReport",
    "Diagnosis",
    "Encoder",
    "EnergySum",
    "Evaluation",
    "Expects",
    "FashionClassifier",
    "FeatureStatistics",
    "anomaly_images",
    "baselines",
    "blind_to_detail",
    "cached_statistics",
    "controls",
    "damaged",
    "detection_figures",
    "deviation_correlation",
    "diagnose",
    "effective_sample_size",
    "emoji_encoder",
    "evaluate_defects",
    "evaluate_denoising",
    "evaluate_detection",
    "evaluate_generation",
    "evaluate_inpainting",
    "evaluate_interpolations",
    "evaluate_neighbours",
    "evaluate_restoration",
    "evaluate_samples",
    "evaluate_translation",
    "fashion_classifier",
    "fashion_mnist_figures",
    "filtered",
    "finest_detail",
    "frechet_distance",
    "inception_encoder",
    "inpainted",
    "isolation_forest_score",
    "kernel_distance",
    "mahalanobis_score",
    "mean_figures",
    "mean_ssim",
    "nearest_neighbours",
    "neighbour_score",
    "pca_score",
    "pixel_correlation",
    "pixelate",
    "psnr",
    "random_encoder",
    "reference_statistics",
    "saliency_maps",
    "split_r_hat",
    "ssim",
    "threshold_at",
    "weights_hash",
]
