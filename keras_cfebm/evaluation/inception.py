"""The Inception network of the FID literature, through the package torch-fidelity."""

import pathlib

import numpy as np

from keras_cfebm.datasets.pixels import to_uint8
from keras_cfebm.evaluation.encoders import Encoder, Expects
from keras_cfebm.utils.atomic_files import sha256
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import PathLike

# torch-fidelity names its weights file by the first digits of its sha256, as PyTorch's
# hub does. Checking them keeps the name "FID" honest, and a stranger's file unpickled.
HASH_PREFIX = "6726825d"
PREPROCESSING = (
    "images in [-1, 1] rounded to 8 bits, grey repeated to 3 channels, resized to "
    "299x299 bilinearly as TensorFlow 1 did, (x - 128) / 128; 2048 pooled features"
)


def inception_encoder(path: PathLike | None = None) -> Encoder:
    """The encoder whose Fréchet distance is called "FID".

    It is the InceptionV3 of 2015-12-05 that Heusel et al. used, as ported to PyTorch by
    torch-fidelity. Runs on a GPU if PyTorch sees one.

    Args:
        path: the weights file `weights-inception-2015-12-05-6726825d.pth` of the
            torch-fidelity releases; None downloads it to PyTorch's hub folder, where
            torch-fidelity itself looks for it.

    Returns:
        `Encoder` named `"inception-2015-12-05"`: images of any resolution with 1 or
        3 channels to 2048 features.

    Raises:
        ImportError: without the extra `fid` (torch-fidelity).
        FileNotFoundError: if there is no file at `path`.
        ValueError: if the file is not the expected one.

    Reference:
        Heusel et al., NeurIPS 2017; Obukhov et al., torch-fidelity, 2020,
        https://github.com/toshas/torch-fidelity.
    """
    torch = optional_import("torch", "fid")
    extractors = optional_import("torch_fidelity.feature_extractor_inceptionv3", "fid")
    path = _download(torch, extractors) if path is None else pathlib.Path(path)
    digest = sha256(path)
    if not digest.startswith(HASH_PREFIX):
        raise ValueError(
            f"Expected the Inception weights of SHA-256 {HASH_PREFIX}…, received "
            f"{path} of {digest}."
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = extractors.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    ).to(device)

    def function(images):
        colours = np.repeat(to_uint8(images), 3 // images.shape[-1], axis=-1)
        with torch.no_grad():
            pixels = torch.from_numpy(colours).permute(0, 3, 1, 2).to(device)
            (features,) = network(pixels)
        return features.cpu().numpy()

    return Encoder(
        name="inception-2015-12-05",
        function=function,
        hash=digest,
        preprocessing=PREPROCESSING,
        expects=Expects(resolutions=None, channels=(1, 3)),
        batch_size=64,
    )


def _download(torch, extractors):
    url = extractors.URL_INCEPTION_V3
    folder = pathlib.Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / url.rsplit("/", 1)[-1]
    if not path.exists():
        torch.hub.download_url_to_file(url, str(path), hash_prefix=HASH_PREFIX)
    return path
