"""The energy network: growth, saving, labels, and what it refuses."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_cfebm import backend
from keras_cfebm.layers import mean_pool
from keras_cfebm.layers.levels import default_width, levels_of
from keras_cfebm.network import EnergyNetwork


def energies(network, *inputs):
    return np.array(network(inputs if len(inputs) > 1 else inputs[0]))


def with_embedding(network):
    table = network.head.embedding.embeddings
    rng = np.random.default_rng(2)
    table.assign(rng.normal(size=tuple(table.shape)).astype("float32"))
    return network


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("base", [7, 8])
def test_growth_is_the_identity_at_beta_zero(
    make_network, noise_images, base, channels
):
    network = make_network(base, base_resolution=base, channels=channels)
    for resolution in (2 * base, 4 * base):
        grown = network.grown()
        assert grown.beta == 0 and grown.image_shape == (resolution,) * 2 + (channels,)
        x = noise_images(4, resolution, channels)
        np.testing.assert_allclose(
            grown(x), network(mean_pool(x)), rtol=1e-5, atol=1e-6
        )
        grown.beta = 1.0
        assert np.abs(grown(x) - network(mean_pool(x))).max() > 1e-3
        network = grown


def test_growing_and_the_grown_one_leave_the_old_untouched(
    make_network, noise_images, values, assert_equal, scramble
):
    network = make_network()
    before = values(network)
    expected = energies(network, noise_images(2, 8))
    grown = network.grown()
    scramble(grown)
    grown.power_iteration()
    assert_equal(values(network), before)
    np.testing.assert_array_equal(network(noise_images(2, 8)), expected)
    assert network.resolution == 8 and not network.fading


def test_without_fade_the_old_path_is_gone_and_nothing_else(make_network, noise_images):
    grown = make_network().grown()
    grown.beta = 1.0
    stable = grown.without_fade()
    x = noise_images(4, 16)
    np.testing.assert_allclose(stable(x), grown(x), rtol=1e-6, atol=1e-6)
    assert not stable.fading and stable.beta == 1
    assert len(stable.weights) == len(grown.weights) - 3  # kernel, bias and β
    with pytest.raises(ValueError, match="is 1 without a fade path"):
        stable.beta = 0.5


@pytest.mark.parametrize("step", ["without_fade", "grown"])
def test_a_fading_network_is_not_grown_and_keeps_its_fade(make_network, step):
    grown = make_network().grown()
    grown.beta = 0.999
    with pytest.raises(ValueError, match=r"received β = 0\.9990"):
        getattr(grown, step)()


def test_a_copy_is_equal_and_its_own(make_network, noise_images, scramble):
    grown = make_network().grown()
    grown.beta = 0.3
    copy = grown.copy()
    x = noise_images(2, 16)
    expected = energies(grown, x)
    np.testing.assert_array_equal(copy(x), expected)
    scramble(copy)
    np.testing.assert_array_equal(grown(x), expected)


@pytest.mark.parametrize("resolution", [8, 16])
def test_a_bound_energy_is_the_network(make_network, noise_images, resolution):
    network = make_network(resolution)
    x = noise_images(3, resolution)
    np.testing.assert_allclose(network.bind()(x), network(x), rtol=1e-6, atol=1e-6)


def test_a_network_is_deterministic_and_returns_one_number_per_image(
    make_network, noise_images
):
    network, x = make_network(), noise_images(3, 8)
    assert energies(network, x).shape == (3,)
    np.testing.assert_array_equal(network(x, training=True), network(x))
    np.testing.assert_allclose(network(x[1:2])[0], network(x)[1], rtol=1e-5, atol=1e-6)


def test_conditional_energies_differ_by_the_embedding(make_network, noise_images):
    network = make_network(num_classes=3)
    x = noise_images(3, 8)
    labels = np.int32([0, 1, 2])
    network.head.embedding.embeddings.assign(ops.zeros((3, 4)))
    without = energies(network, x, labels)
    np.testing.assert_array_equal(without, energies(network, x, labels[::-1]))
    with_embedding(network)
    first, second = (energies(network, x, np.full(3, c, "int32")) for c in (0, 1))
    assert (np.abs(first - second) > 1e-4).all()
    mixed = energies(network, x, labels)
    np.testing.assert_allclose(mixed[:2], [first[0], second[1]], rtol=1e-5)
    np.testing.assert_allclose(network.bind(labels)(x), mixed, rtol=1e-6, atol=1e-6)


def test_growth_keeps_the_classes(make_network, noise_images):
    network = with_embedding(make_network(num_classes=3))
    x, labels = noise_images(3, 16), np.int32([0, 1, 2])
    np.testing.assert_allclose(
        energies(network.grown(), x, labels),
        energies(network, np.array(mean_pool(x)), labels),
        rtol=1e-5,
        atol=1e-6,
    )


def test_labels_are_given_to_classes_only(make_network):
    with pytest.raises(ValueError, match="Expected no labels"):
        make_network().bind(np.zeros(2, "int32"))
    with pytest.raises(ValueError, match="Expected labels"):
        make_network(num_classes=3).bind()


NETWORKS = {
    "stable": {"resolution": 16, "channels": 3, "spectral_norm": False},
    "fading": {"resolution": 14, "base_resolution": 7, "fading": True},
    "conditional": {"num_classes": 3, "activation": "gelu"},
    "widths": {"resolution": 16, "widths": {4: 2, 8: 3, 16: 5}},
}


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_saved_and_loaded_networks_are_equal(
    make_network, noise_images, tmp_path, changes
):
    network = make_network(**changes)
    if network.fading:
        network.beta = 0.3
    inputs = [noise_images(3, network.resolution, network.channels)]
    if network.num_classes:
        inputs.append(np.int32([0, 1, 2]))
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert isinstance(loaded, EnergyNetwork) and loaded.beta == network.beta
    np.testing.assert_allclose(
        energies(loaded, *inputs), energies(network, *inputs), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_configs_survive_json(make_network, changes, assert_equal):
    network = make_network(**changes)
    config = json.loads(json.dumps(network.get_config()))
    copy = EnergyNetwork.from_config(config)
    assert copy.get_config() == network.get_config()
    assert copy.widths == network.widths
    assert_equal(
        [tuple(weight.shape) for weight in copy.weights],
        [tuple(weight.shape) for weight in network.weights],
    )


def test_widths_override_single_levels(make_network):
    network = make_network(16, widths={16: 5, 8: 3, 4: 2})
    assert [block.width for block in network.blocks] == [5, 3]
    assert [block.filters for block in network.blocks] == [3, 2]
    assert network.head.width == 2


def test_default_widths_are_those_of_the_paper():
    resolutions = (4, 8, 16, 32, 64, 128, 256, 512)
    widths = [default_width(resolution, 32) for resolution in resolutions]
    assert widths == [128, 128, 128, 128, 64, 32, 16, 8]
    assert default_width(512, 1) == 1


def test_levels_double():
    assert levels_of(28, 7) == [7, 14, 28]
    assert levels_of(8, 8) == [8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resolution": 24}, "resolution=24, base_resolution=8"),
        ({"resolution": 4}, "resolution=4, base_resolution=8"),
        ({"resolution": 1, "base_resolution": 1}, "base of at least 2"),
        ({"channels": 0}, "channels of at least 1"),
        ({"base_width": 0}, "base_width of at least 1"),
        ({"num_classes": 0}, "num_classes of at least 1"),
        ({"activation": "mish"}, "Expected an activation"),
        ({"fading": True}, "no coarser level"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EnergyNetwork(**{"resolution": 8, **arguments})


@pytest.mark.parametrize("trainable", [True, False])
def test_a_config_keeps_whether_the_network_is_trainable(trainable):
    network = EnergyNetwork(8, channels=1, base_width=1, trainable=trainable)
    again = EnergyNetwork.from_config(network.get_config())
    assert again.trainable is trainable
    assert bool(again.trainable_weights) is trainable


def test_an_energy_of_28_pixels_sees_all_edges_alike(noise_images):
    images = ops.convert_to_tensor(noise_images(64, 28))

    def sizes_of_gradient(seed):
        keras.utils.set_random_seed(seed)
        network = EnergyNetwork(28, channels=1, base_resolution=7, base_width=4)
        _, gradient = backend.value_and_input_gradient(network.bind(), images)
        return np.abs(gradient)

    # One network looks where its first weights happen to look, the mean at all edges.
    sizes = np.mean([sizes_of_gradient(seed) for seed in range(6)], axis=(0, 1, 4))
    assert min(sizes.mean(axis=0).min(), sizes.mean(axis=1).min()) > 0.5 * sizes.mean()


def test_weights_that_are_not_float32_are_refused():
    with pytest.raises(ValueError, match=r"weights are float32.*received 'float16'"):
        EnergyNetwork(8, dtype="float16")


def test_scaled_kernels_give_the_same_energies(make_network, noise_images):
    network = make_network()
    expected = np.array(network(noise_images(4, 8)))
    for convolution in network.spectral_convolutions():
        convolution.kernel.assign(convolution.kernel * 1e-6)
    np.testing.assert_allclose(network(noise_images(4, 8)), expected, rtol=1e-4)


# --- The authors' network -----------------------------------------------------------


def test_an_equalised_network_is_the_scaled_one(make_network, noise_images):
    """Kernels of 1×1 and linear layers times √(2 / inputs) are those of a plain one."""
    equalized = make_network(16, base_width=2, equalized=True).grown()
    plain = make_network(16, base_width=2).grown()
    equalized.beta = plain.beta = 0.4
    for ours, theirs in zip(equalized.weights, plain.weights, strict=True):
        layer, name = ours.path.split("/")[-2:]
        pointwise = layer.startswith(("from_image", "skip", "linear"))
        scale = (2 / ours.shape[-2]) ** 0.5 if pointwise and name == "kernel" else 1.0
        theirs.assign(scale * ours)
    x = noise_images(3, 32)
    assert np.std(energies(plain, x)) > 1e-3
    np.testing.assert_allclose(energies(equalized, x), energies(plain, x), rtol=2e-5)


def test_equalised_weights_have_unit_variance_and_give_the_same_start(noise_images):
    networks = [
        EnergyNetwork(16, channels=1, base_width=4, equalized=equalized).grown()
        for equalized in (False, True)
    ]
    for network in networks:
        network.draw_weights(3)
        network.beta = 0.5
    spreads = [np.std(network.blocks[1].skip.kernel) for network in networks]
    np.testing.assert_allclose(spreads, [(2 / 16) ** 0.5, 1.0], rtol=0.15)
    one, other = (energies(network, noise_images(2, 32)) for network in networks)
    np.testing.assert_allclose(one, other, rtol=1e-4)
    for network in networks:
        network.beta = 1.0
    grown = [network.grown(seed=5) for network in networks]
    for network in grown:
        network.beta = 1.0
    one, other = (energies(network, noise_images(2, 64)) for network in grown)
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_a_network_wide_inside_grows_and_is_saved(make_network, noise_images, tmp_path):
    coarse = make_network(32, base_width=4, inner="output", equalized=True)
    grown = coarse.grown()
    x = noise_images(2, 64)
    np.testing.assert_allclose(grown(x), coarse(mean_pool(x)), rtol=1e-5, atol=1e-6)
    assert grown.blocks[0].primal.residual.conv1.kernel.shape == (3, 3, 8, 16)
    grown.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert (loaded.inner, loaded.equalized) == ("output", True)
    np.testing.assert_array_equal(loaded(x), grown(x))
