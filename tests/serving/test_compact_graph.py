"""SavedModels with short names: the same model in fewer bytes."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_cfebm.model import CFEBM
from keras_cfebm.serving.compact_graph import compact
from keras_cfebm.serving.export import export_saved_model

CHOSEN = ["energy", "generate", "serving_default"]


@pytest.fixture(scope="module")
def exported(make_network, tmp_path_factory):
    model = CFEBM([make_network(8), make_network(16)]).finished()
    path = tmp_path_factory.mktemp("exported")
    export_saved_model(model, path, signatures=["energy", "generate"], max_steps=4)
    return path / "1"


@pytest.fixture(scope="module")
def compacted(exported, tmp_path_factory):
    path = tmp_path_factory.mktemp("compacted") / "1"
    shutil.copytree(exported, path)
    before = (path / "saved_model.pb").stat().st_size
    saved = compact(path)
    assert (path / "saved_model.pb").stat().st_size == before - saved < 0.7 * before
    return path


def test_it_computes_the_same(exported, compacted, noise_images):
    old, new = (tf.saved_model.load(str(path)) for path in (exported, compacted))
    assert sorted(old.signatures) == sorted(new.signatures) == CHOSEN
    given = {
        "energy": {"images": tf.constant(noise_images(3, 16))},
        "generate": {
            "seeds": tf.constant([5, 6], tf.int64),
            "steps": tf.constant([2, 2]),
            "speed": tf.constant([1.0, 1.0]),
        },
    }
    for name, inputs in given.items():
        assert set(old.signatures[name].structured_input_signature[1]) == set(inputs)
        found = [each.signatures[name](**inputs) for each in (old, new)]
        for output, values in found[0].items():
            assert np.std(values) > 0
            np.testing.assert_allclose(found[1][output], values, atol=1e-5)


def test_no_operation_has_a_long_name(compacted):
    content = (compacted / "saved_model.pb").read_bytes()
    (graph,) = SavedModel.FromString(content).meta_graphs
    nodes = [n for f in graph.graph_def.library.function for n in f.node_def]
    assert len(nodes) > 100 and max(len(node.name) for node in nodes) < 8
    assert not any("_output_shapes" in node.attr for node in nodes)
    assert not (compacted / "fingerprint.pb").exists()


def test_once_is_enough(compacted):
    before = (compacted / "saved_model.pb").read_bytes()
    assert compact(compacted) == 0
    assert (compacted / "saved_model.pb").read_bytes() == before
