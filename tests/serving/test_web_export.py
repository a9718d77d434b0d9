"""The exported JavaScript draws what Python draws."""

import shutil
import subprocess

import numpy as np
import pytest

from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving.web_export import export_web
from keras_cfebm.serving.web_runtime import FILES, write_runtime

SCRIPT = __file__.replace("test_web_export.py", "web_chain.mjs")


def test_runtime_of_another_content_is_refused(make_model, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(b"another")
    with pytest.raises(ValueError, match=r"Expected tf\.es2017"):
        export_web(make_model(), tmp_path / "out", runtime=str(tmp_path))
    assert not (tmp_path / "out" / "runtime").exists()


@pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")),
    reason="node or npm is not installed",
)
def test_image_of_a_seed_is_that_of_python(make_network, tmp_path):
    ladder = [make_network(side, num_classes=3, channels=2) for side in (8, 16)]
    settings = Langevin(
        (3, 5), (0.5, 0.2), 0.02, start_noise="truncated_normal", transition_noise=0.3
    )
    model = CFEBM(ladder, settings)
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    try:
        write_runtime(runtime)
    except OSError as error:
        pytest.skip(f"TensorFlow.js cannot be had: {error}")
    export_web(model, tmp_path / "out", runtime=str(runtime))
    given = [str(tmp_path / "out"), str(2**40 + 7), "2", "2", "1", "0.5"]
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(["node", SCRIPT, *given], check=True, capture_output=True)
    # TensorFlow.js greets in node by lines of text before the images.
    drawn = np.frombuffer(done.stdout[-2 * 16 * 16 * 2 * 4 :], "float32")
    expected = model.generate(2, 2**40 + 7, labels=1, guidance=0.5, speed=2.0)
    np.testing.assert_allclose(drawn, expected.ravel(), atol=1e-3)
    assert expected.std() > 0.1
