"""mixed_bfloat16: convolutions in bfloat16; weights, energies and chains in float32."""

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_cfebm import CFEBM, EnergyNetwork, Langevin, configs
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.configs.stages import Stage
from keras_cfebm.datasets import from_arrays
from keras_cfebm.growing import fit_progressively

POLICY = "mixed_bfloat16"


@pytest.fixture(scope="module")
def trained(make_network, noise_images):
    """A ladder of 8 and 16 pixels trained in mixed precision for a few steps."""

    data = from_arrays(noise_images(16, 16))
    stages = [Stage(8, 0, 8, batch_size=4), Stage(16, 8, 8, batch_size=4)]
    model = CFEBM([make_network(dtype=POLICY)], langevin=Langevin(steps=2))
    kernels = [conv.kernel for conv in model.network.spectral_convolutions()]
    before = [kernel.numpy() for kernel in kernels]
    trained = fit_progressively(
        model, lambda stage, _: data.batches(stage.resolution, 4), stages, verbose=0
    )
    for kernel, value in zip(kernels, before, strict=True):
        assert kernel.dtype == "float32" and not np.array_equal(kernel, value)
    return trained


def policies(model):
    return {layer.dtype_policy.name for n in model.ladder for layer in n.blocks}


def test_every_network_has_the_policy(trained):
    assert [network.resolution for network in trained.ladder] == [8, 16]
    assert policies(trained) == {POLICY}
    assert trained.sampling_network.blocks[0].dtype_policy.name == POLICY


def test_energies_are_close_to_those_of_float32(make_network, noise_images):
    network = make_network(16)
    mixed = EnergyNetwork(16, channels=1, base_width=1, dtype=POLICY)
    mixed.set_weights(network.get_weights())
    images = noise_images(64, 16)
    exact, energies = network.predict(images), mixed.predict(images)
    assert energies.dtype == np.float32
    assert 0 < np.abs(energies - exact).max() < 0.02 * np.abs(exact).max()
    bound = mixed.bind()(images)  # what chains use, kernels computed ahead
    assert np.abs(bound - exact).max() < 0.02 * np.abs(exact).max()


def test_images_of_a_chain_stay_in_float32(trained):
    images = trained.generate(4, seed=0)
    assert images.dtype == np.float32 and np.isfinite(images).all()
    inside = images[np.abs(images) < 1]
    rounded = inside.astype(ml_dtypes.bfloat16).astype("float32")
    assert (rounded != inside).mean() > 0.9


def test_a_saved_model_keeps_the_policy(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert policies(loaded) == {POLICY}
    np.testing.assert_array_equal(
        loaded.generate(2, seed=0), trained.generate(2, seed=0)
    )


def test_the_policy_is_part_of_a_run(tmp_path):
    plain = configs.config("tiny").to_dict()
    plain["network"]["dtype"] = POLICY
    config = RunConfig.from_json(RunConfig.from_dict(plain).to_json())
    model = CFEBM.from_run_config(config, channels=1)
    assert model.network.blocks[0].compute_dtype == "bfloat16"
    plain["network"]["dtype"] = "mixed_float16"
    with pytest.raises(ValueError, match="Expected a dtype of"):
        RunConfig.from_dict(plain)


def test_the_global_policy_reaches_the_networks():
    keras.config.set_dtype_policy(POLICY)
    try:
        network = EnergyNetwork(8, channels=1, base_width=1)
        assert network.grown().blocks[0].compute_dtype == "bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.copy().blocks[0].compute_dtype == "bfloat16"
