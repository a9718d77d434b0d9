"""Which version of a folder is served: the newest sound one."""

import shutil

import pytest
import tensorflow as tf

pytest.importorskip("tensorflow_serving.apis")
from tensorflow_serving.apis import model_pb2

from keras_cfebm.serving.saved_model import versions
from keras_cfebm.serving.served_model import ServedModel, ServingError


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A SavedModel of one signature and 8 kB of weights."""
    module = tf.Module()
    module.weight = tf.Variable(tf.ones(2000))
    spec = tf.TensorSpec([None], tf.float32, "x")
    function = tf.function(lambda x: {"y": x + module.weight[0]}, [spec])
    path = tmp_path_factory.mktemp("versions") / "1"
    tf.saved_model.save(module, str(path), function.get_concrete_function())
    return path


@pytest.fixture
def folder(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "m" / "1")
    return tmp_path / "m"


def damage(version):
    data = version / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])


def test_versions_are_folders_named_by_their_number(folder):
    for name in ("01", "-3", "2x", "٣", "1.5"):
        shutil.copytree(folder / "1", folder / name)
    (folder / "2").write_text("no version")
    (folder / "4").mkdir()
    shutil.copytree(folder / "1", folder / "30")
    assert versions(folder) == [30, 1]


def test_a_damaged_version_is_reported_and_the_one_before_is_served(folder, caplog):
    shutil.copytree(folder / "1", folder / "2")
    damage(folder / "2")
    (folder / "3").mkdir()
    (folder / "3" / "saved_model.pb").write_bytes(b"nothing")
    model = ServedModel(folder)
    assert model.current.version == 1
    assert sorted(model.damaged) == [2, 3]
    ours = [record for record in caplog.records if record.name == "absl"]
    messages = [record.getMessage() for record in ours]
    assert all("\n" not in message for message in messages)
    for version in (2, 3):
        assert sum(f"Version {version} in" in message for message in messages) == 1
    caplog.clear()
    model.refresh()
    assert not caplog.records  # once
    found = model.status(model_pb2.ModelSpec(name="m")).model_version_status
    states = {one.version: one for one in found}
    assert states[1].state == found[0].AVAILABLE and not states[1].status.error_message
    assert states[2].state == found[0].END
    assert "Read less bytes" in states[2].status.error_message
    with pytest.raises(ServingError, match="m, version 2"):
        model.find(model_pb2.ModelSpec(name="m", version={"value": 2}))


def test_a_new_version_is_taken_up_once_it_is_sound(folder):
    model = ServedModel(folder)
    first = model.current
    model.refresh()
    assert model.current is first
    shutil.copytree(folder / "1", folder / "2")
    damage(folder / "2")
    model.refresh()
    assert model.current is first
    shutil.rmtree(folder / "2")
    shutil.copytree(folder / "1", folder / "2")
    model.refresh()
    assert (model.current.version, model.damaged) == (2, {})
    shutil.rmtree(folder / "2")
    model.refresh()
    assert model.current.version == 1
    shutil.rmtree(folder / "1")
    model.refresh()
    assert model.current.version == 1  # rather than none


def test_a_folder_has_to_have_a_sound_version(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="versions of a SavedModel"):
        ServedModel(tmp_path)
    damage(folder / "1")
    with pytest.raises(ValueError, match=r"only damaged ones: \[1\]"):
        ServedModel(folder)
