"""The exported JavaScript makes what Python makes."""

import json
import subprocess

import numpy as np
import pytest

from keras_cfebm import tasks
from keras_cfebm.serving.web_export import export_web
from keras_cfebm.serving.web_runtime import FILES
from keras_cfebm.tasks.restoration import DENOISING
from keras_cfebm.tasks.translation import single_settings

SCRIPT = __file__.replace("test_web_export.py", "web_chain.mjs")
SEED, LABEL, GUIDANCE, SPEED, SIGMA = 2**40 + 7, 1, 0.5, 2.0, 0.3
FAITHFULNESS = 0.2


def test_runtime_of_another_content_is_refused(make_model, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(b"another")
    with pytest.raises(ValueError, match=r"Expected tf\.es2017"):
        export_web(make_model(), tmp_path / "out", runtime=str(tmp_path))
    assert not (tmp_path / "out" / "runtime").exists()


@pytest.fixture(scope="module")
def asked(noise_images):
    """An image `(1, 16, 16, 3)` and the mask of its hole."""
    missing = np.zeros((1, 16, 16), bool)
    missing[:, 4:11, 3:12] = True  # parts of coarse pixels, too
    return 0.4 * noise_images(1, 16, 3, seed=5), missing


@pytest.fixture(scope="module")
def made(tensorflow_js, web_model, asked, tmp_path_factory):
    """What JavaScript makes, by name, as flat arrays."""
    folder = tmp_path_factory.mktemp("web")
    export_web(web_model, folder / "out", runtime=tensorflow_js)
    (folder / "package.json").write_text('{"type": "module"}')
    image, missing = asked
    request = {
        "seed": SEED,
        "label": LABEL,
        "guidance": GUIDANCE,
        "speed": SPEED,
        "sigma": SIGMA,
        "faithfulness": FAITHFULNESS,
        "image": image.ravel().tolist(),
        "missing": missing.ravel().tolist(),
    }
    done = subprocess.run(
        ["node", SCRIPT, str(folder / "out")],
        input=json.dumps(request),
        check=True,
        capture_output=True,
        text=True,
    )
    # TensorFlow.js greets in node by lines of text before that.
    return json.loads(done.stdout.splitlines()[-1])


def test_image_of_a_seed_is_that_of_python(made, web_model):
    options = {"labels": LABEL, "guidance": GUIDANCE, "speed": SPEED}
    expected = web_model.generate(2, SEED, **options)
    assert expected.std() > 0.1
    np.testing.assert_allclose(made["samples"], expected.ravel(), atol=1e-3)


def test_a_hole_is_filled_as_python_fills_it(made, web_model, asked):
    image, missing = (np.repeat(array, 2, axis=0) for array in asked)
    expected = tasks.inpaint(web_model, image, missing, seed=SEED, labels=LABEL)
    filled = np.reshape(made["filled"], image.shape)
    np.testing.assert_allclose(filled, expected, atol=1e-3)
    np.testing.assert_array_equal(filled[~missing].astype("float32"), image[~missing])


def test_a_source_holds_its_image_back_as_in_python(made, web_model, asked):
    settings = single_settings(web_model, DENOISING)
    chain = tasks.Chain(
        web_model.sampling_network, settings.replace(faithfulness=FAITHFULNESS)
    )
    expected = tasks.translate(chain, asked[0], SEED, labels=LABEL)
    np.testing.assert_allclose(made["held"], expected.ravel(), atol=1e-3)
    free = tasks.translate(chain, asked[0], SEED, labels=LABEL, faithfulness=0.0)
    assert np.abs(free - expected).max() > 0.01


def test_noise_is_that_of_python(made, asked):
    expected = tasks.add_noise(asked[0], SIGMA, SEED)
    np.testing.assert_allclose(made["noisy"], expected.ravel(), atol=1e-6)


def test_the_detector_scores_as_in_python(made, web_model, asked):
    (expected,) = web_model.detector.scores(asked[0])
    assert expected > 0
    assert made["score"] == pytest.approx(expected, rel=1e-2, abs=1e-2)
