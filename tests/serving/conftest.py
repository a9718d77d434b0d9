"""What the tests of the web export share."""

import shutil

import pytest

from keras_cfebm import tasks
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving.web_runtime import write_runtime


@pytest.fixture(scope="session")
def tensorflow_js(tmp_path_factory):
    """A folder with TensorFlow.js."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node or npm is not installed")
    folder = tmp_path_factory.mktemp("runtime")
    try:
        write_runtime(folder)
    except OSError as error:
        pytest.skip(f"TensorFlow.js cannot be had: {error}")
    return str(folder)


@pytest.fixture(scope="session")
def web_model(make_network, noise_images):
    """A ladder of colours and classes, with a detector."""
    ladder = [make_network(side, num_classes=3, channels=3) for side in (8, 16)]
    settings = Langevin(
        (3, 5), (0.5, 0.2), 0.02, start_noise="truncated_normal", transition_noise=0.3
    )
    model = CFEBM(ladder, settings)
    detector = tasks.LadderDetector(model.sampling_ladder, settings)
    images = 0.3 * noise_images(120, 16, 3)
    model.detector = detector.fit(images[:80], held_out=images[80:])
    return model
