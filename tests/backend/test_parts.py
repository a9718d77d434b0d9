"""Parts of a batch that run at once: the same results as the whole batch's."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("XLA divides a batch itself", allow_module_level=True)

import tensorflow as tf

from keras_cfebm import backend
from keras_cfebm.backend import tensorflow_parts
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks import AnomalyDetector, denoise
from keras_cfebm.tasks.energies import weighted


@pytest.fixture
def parts(monkeypatch):
    """A function that sets how many parts run at once."""
    return lambda count: monkeypatch.setattr(tensorflow_parts, "_PARTS", count)


@pytest.mark.parametrize("rows", [1, 2, 5, 6])
@pytest.mark.parametrize("known_size", [True, False])
def test_every_row_is_computed_once_and_in_its_place(parts, rows, known_size):
    parts(3)
    sizes = []

    def double(x, absent):
        sizes.append(x.shape[0])
        assert absent is None
        return {"twice": 2 * x, "sums": tf.reduce_sum(x, axis=1)}

    shape = (rows if known_size else None, 2)
    signature = [tf.TensorSpec(shape)]
    run = tf.function(
        lambda x: backend.in_parallel(double)(x, None), signature, autograph=False
    )
    x = np.arange(2 * rows, dtype="float32").reshape(rows, 2)
    results = run(x)
    np.testing.assert_array_equal(results["twice"], 2 * x)
    np.testing.assert_array_equal(results["sums"], x.sum(axis=1))
    assert None in sizes if not known_size else sum(set(sizes)) <= rows


def test_what_is_exported_has_one_part(parts):
    parts(3)
    sizes = []
    with backend.portable():
        run = tf.function(backend.in_parallel(lambda x: sizes.append(len(x)) or x))
        run(tf.zeros((6, 2)))
    assert sizes == [6]


def test_chains_and_scores_do_not_depend_on_the_parts(make_model, parts):
    model = make_model(langevin=Langevin(steps=4))
    model = model.grown(fade_steps=4)
    samples, energies, single = {}, {}, {}
    for count in (1, 2):
        parts(count)
        model._sampler = None
        samples[count] = model.generate(5, seed=0)
        detector = AnomalyDetector(model.sampling_network, "gradient_norm")
        model.make_predict_function(force=True)
        energies[count] = [
            model.predict(samples[1], verbose=0),
            detector.scores(samples[1]),
        ]
        # Compiled for batches of any size by now, of one image too.
        assert detector.scores(samples[1][:3]).shape == (3,)
        single[count] = detector.scores(samples[1][:1])
    np.testing.assert_allclose(samples[2], samples[1], atol=1e-5)
    np.testing.assert_allclose(energies[2], energies[1], atol=1e-5)
    np.testing.assert_allclose(single[2], energies[1][1][:1], atol=1e-5)


@pytest.mark.parametrize("composed", [False, True])
def test_a_function_that_knows_the_batch_gets_it_whole(
    make_network, noise_images, parts, composed
):
    parts(2)
    observed = 0.5 * noise_images(5, 8)

    def energy(x):  # ½ ‖x − y‖², which a step of η = 1 brings to its minimum
        return 0.5 * tf.reduce_sum(tf.square(x - observed), axis=(1, 2, 3))

    if composed:
        energy = weighted([(make_network(8), 0.0), (energy, 1.0)])
    settings = Langevin(steps=1, noise_scale=0.0)
    found = denoise(energy, noise_images(5, 8, seed=1), seed=0, settings=settings)
    np.testing.assert_allclose(found, observed, atol=1e-6)


@pytest.mark.parametrize(
    ("accumulation", "data_chains"), [(1, 0), (1, 1 / 3), (2, 0.5)]
)
def test_a_step_does_not_depend_on_the_parts(
    make_model, noise_images, parts, values, accumulation, data_chains
):
    weights, logs = {}, {}
    for count in (1, 2):
        parts(count)
        model = make_model(
            num_classes=2,
            data_noise=0.1,
            energy_l2=0.1,
            accumulation=accumulation,
            data_chains=data_chains,
            data_chain_steps=3,
            optimizer=keras.optimizers.SGD(0.1),
        )
        # The last batch is of one image, unless accumulation forbids it.
        images = 9 if accumulation == 1 else 8
        data = (noise_images(images, 8), np.arange(images) % 2)
        options = {"batch_size": 4, "shuffle": False, "verbose": 0}
        logs[count] = model.fit(*data, **options).history
        logs[count] |= {"test": model.evaluate(*data, batch_size=4, verbose=0)}
        weights[count] = values(model)
    for name, value in logs[1].items():
        np.testing.assert_allclose(logs[2][name], value, rtol=1e-4, atol=1e-5)
    for one, other in zip(weights[1], weights[2], strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


SCRIPT = """
import sys
import tensorflow as tf
if sys.argv[1] != "0":
    tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
from keras_cfebm.backend import tensorflow_parts
threads = tf.config.threading
print(tensorflow_parts._PARTS, threads.get_intra_op_parallelism_threads(),
      threads.get_inter_op_parallelism_threads())
"""


@pytest.mark.parametrize("chosen", [0, 2])
def test_threads_are_set_where_nobody_has_set_them(chosen):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_NUM")}
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(chosen)],
        env={**environment, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    found, intra_op, inter_op = map(int, process.stdout.split())
    cores = len(os.sched_getaffinity(0))
    if chosen:
        assert (intra_op, inter_op) == (chosen, 0)
        assert found == min(max(1, cores // chosen), 8)
    else:
        assert (found, inter_op) == (min(cores, 8), min(cores, 8))
        assert intra_op == cores // found
