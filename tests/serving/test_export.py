"""A SavedModel is the Python model: in plain TensorFlow, its command line, and C++."""

import io
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import zlib
from typing import NamedTuple

import export_cases
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2

from keras_cfebm import tasks
from keras_cfebm.datasets.pixels import to_float
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving import (
    export_saved_model,
    image_files,
    rest_json,
    saved_model,
    warmup,
)
from keras_cfebm.serving.request_checks import Limits
from keras_cfebm.serving.served_model import Servable, ServingError
from keras_cfebm.serving.signatures import Signature, Signatures
from keras_cfebm.utils import atomic_files

HERE = pathlib.Path(__file__).parent


class Served(NamedTuple):
    """A model, its export, what that is asked and has to answer."""

    model: CFEBM
    path: str
    requests: dict
    expected: dict


@pytest.fixture(scope="module")
def images(noise_images):
    return noise_images(3, 16)


@pytest.fixture(scope="module")
def ladder(make_network):
    return CFEBM([make_network(8), make_network(16)], Langevin(steps=(4, 3)))


@pytest.fixture(scope="module")
def serve(noise_images, tmp_path_factory):
    """A function that exports a model for three images, with a threshold."""

    def make(name, model, by_ladder=True, but=()):
        side, channels = model.resolution, model.image_shape[-1]
        images = noise_images(3, side, channels)
        normal = noise_images(40, side, channels, seed=5)
        if by_ladder:
            ladder = model.sampling_ladder
            detector = tasks.LadderDetector(ladder, model.langevin).fit(normal, 0.5)
        else:
            detector = tasks.AnomalyDetector(model.sampling_network, "typicality")
            detector.fit(normal, 0.5)
        folder = tmp_path_factory.mktemp("serving") / name
        options = {"detector": detector, "max_steps": 50, "max_rows": 40, "fit": "pad"}
        requests = export_cases.requests_of(model, images)
        requests = {case: given for case, given in requests.items() if case not in but}
        chosen = {case.partition(":")[0] for case in requests} - {"serving_default"}
        path = export_saved_model(model, folder, **options, signatures=chosen)
        expected = export_cases.answers_of(model, detector, requests)
        return Served(model, path, requests, expected)

    return make


@pytest.fixture(scope="module")
def served(serve, ladder):
    return serve("ladder", ladder)


@pytest.fixture(scope="module")
def exported(served):
    return served.path


@pytest.fixture(scope="module")
def with_classes(serve, make_network):
    """Of colour images."""
    network = make_network(16, channels=3, num_classes=3)
    model = CFEBM([network], Langevin(steps=3), class_names=["bag", "é", "shoe"])
    return serve("classes", model, but=("restore_mean_pool_2", "restore_mean_pool_4"))


@pytest.fixture(scope="module")
def translating(serve, make_network):
    settings = Langevin(steps=3, faithfulness=0.1)
    model = CFEBM([make_network(16)], settings, chain_start="source")
    return serve("source", model, by_ladder=False)


@pytest.fixture(scope="module", params=["served", "with_classes", "translating"])
def any_served(request):
    return request.getfixturevalue(request.param)


def check(found, expected):
    """Compares the outputs of all cases; PNG files by their pixels."""
    assert set(found) == set(expected)
    for case, outputs in expected.items():
        if "levels" in outputs:
            received = found[case]["image_bytes"]
            levels = np.stack([tf.io.decode_png(file).numpy() for file in received])
            difference = np.abs(levels.astype(int) - outputs["levels"])
            assert difference.max() <= 1 and difference.mean() < 0.01
            continue
        assert set(found[case]) == set(outputs)
        # Curves to −log p are steep where scores are dense.
        atol = 1e-3 if case.startswith("anomaly") else 1e-5
        for name, value in outputs.items():
            np.testing.assert_allclose(
                found[case][name], value, atol=atol, rtol=1e-5, err_msg=f"{case} {name}"
            )


def graph_of(exported):
    """The graph of a SavedModel, as the file has it."""
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((pathlib.Path(exported) / "saved_model.pb").read_bytes())
    return proto.meta_graphs[0]


def by_case(flat):
    cases = {}
    for key, value in flat.items():
        case, name = key.rsplit("/", 1)
        cases.setdefault(case, {})[name] = value
    return cases


def test_signatures_take_the_declared_range(ladder, images, monkeypatch):
    expected = Signatures(ladder, None, Limits(9, 9), "exact").build()
    monkeypatch.setattr(ladder, "_value_range", (0.0, 255.0))
    signatures = Signatures(ladder, None, Limits(9, 9), "exact")
    declared = signatures.build()
    levels = tf.constant(127.5 * (images + 1))
    for name in ("energy", "saliency"):
        (received,) = declared[name].function(levels).values()
        (wanted,) = expected[name].function(tf.constant(images)).values()
        np.testing.assert_allclose(received, wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"in \[0, 255\]"):
        declared["energy"].function(tf.constant(images))
    noisy = {"images": levels + 30, "noise": tf.fill(3, 25.5)}
    checked = signatures._check(noisy, ladder.image_shape, in_range=True)
    np.testing.assert_allclose(checked["noise"], 0.2, rtol=1e-6)
    np.testing.assert_allclose(checked["images"], images + 30 / 127.5, atol=1e-5)


def test_images_may_be_bytes(served, ladder, tmp_path):
    path = export_saved_model(
        ladder, tmp_path / "m", signatures=["restore"], dtype="uint8"
    )
    given = {name: x[:1] for name, x in served.requests["restore"].items()}
    assert given["noise"] == 0 and given["masks"].any()
    levels = given["images"] = export_cases.levels_of(given["images"])
    functions = tf.saved_model.load(path).signatures
    inputs = {name: tf.constant(x) for name, x in given.items()}
    found = functions["restore"](**inputs)
    expected = {name: x[:1] for name, x in served.expected["restore"].items()}
    known = ~given["masks"]
    for name in ("sample", "mean"):
        image = found[name].numpy()
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image[known], levels[known])
        difference = image.astype(int) - export_cases.levels_of(expected[name])
        assert np.abs(difference).mean() < 1
    np.testing.assert_allclose(found["std"], 127.5 * expected["std"], atol=2)
    energy = functions["energy"](images=inputs["images"])["energy"]
    wanted = ladder.sampling_network(to_float(levels))
    np.testing.assert_allclose(energy, wanted, rtol=1e-4, atol=1e-4)
    metadata = json.loads((pathlib.Path(path) / saved_model.METADATA).read_text())
    assert metadata["value_range"] == [0, 255]
    warm = Servable(pathlib.Path(path)).signatures["energy"].inputs["images"]
    assert warm.dtype == tf.uint8.as_datatype_enum
    specs = {"images": tf.TensorSpec(None, tf.uint8)}
    warming = warmup._request_of(Signature(None, specs, (16, 16, 1)), 0.0)["images"]
    np.testing.assert_array_equal(warming, np.zeros_like(levels), strict=True)
    body = {"instances": levels.tolist()}
    asked = rest_json.arrays(body, {"images": warm})["images"]
    np.testing.assert_array_equal(asked, levels, strict=True)
    with pytest.raises(ServingError, match="images as uint8"):
        rest_json.arrays({"instances": [[256]]}, {"images": warm})
    with pytest.raises(ValueError, match="'float32' or 'uint8', received 'int8'"):
        export_saved_model(ladder, tmp_path / "m", dtype="int8")


def test_what_the_signatures_do_not_say_is_exported(with_classes, served):
    def metadata(model):
        path = pathlib.Path(model.path, "assets.extra", "metadata.json")
        return json.loads(path.read_text(encoding="utf-8"))

    found = metadata(with_classes)
    assert found["class_names"] == ["bag", "é", "shoe"]
    assert found["anomaly_score"]["false_positive_rate"] == 0.5
    assert found["anomaly_score"]["score"] == "ladder"
    limits = {"max_steps": 50, "max_rows": 40, "max_samples": 16}
    assert limits.items() <= found.items()
    assert found["image_fit"] == "pad"
    assert "class_names" not in metadata(served)


def test_metadata_are_json_whatever_the_threshold(ladder):
    detector = tasks.LadderDetector(ladder.sampling_ladder, normality=object())
    for rate, threshold in ((0.5, np.log(2)), (0.0, None)):
        detector.false_positive_rate = rate
        found = saved_model._metadata(ladder, detector, Limits(9, 9), "exact")
        found = json.loads(json.dumps(found, allow_nan=False))["anomaly_score"]
        assert found["threshold"] == pytest.approx(threshold)
        assert found["false_positive_rate"] == rate


@pytest.fixture(scope="module")
def plain_answers(served, with_classes, translating, tmp_path_factory):
    """Path of a SavedModel → answers, of one process that imports TensorFlow only."""
    folder = tmp_path_factory.mktemp("plain")
    arguments = []
    for index, model in enumerate((served, with_classes, translating)):
        flat = {
            f"{case}/{name}": value
            for case, inputs in model.requests.items()
            for name, value in inputs.items()
        }
        np.savez(folder / f"requests{index}.npz", **flat)
        files = [folder / f"{kind}{index}.npz" for kind in ("requests", "answers")]
        arguments += [model.path, *files]
    script = [sys.executable, HERE / "plain_tensorflow.py", *arguments]
    subprocess.run(list(map(str, script)), check=True)
    return dict(zip(arguments[::3], arguments[2::3], strict=True))


def test_plain_tensorflow_gives_what_the_model_gives(any_served, plain_answers):
    asked = {case.split(":")[0] for case in any_served.requests}
    assert asked == set(graph_of(any_served.path).signature_def) - {
        "__saved_model_init_op"
    }
    with np.load(plain_answers[any_served.path]) as answers:
        check(by_case(answers), any_served.expected)


@pytest.fixture(scope="module")
def session(served):
    """As `cfebm serve` runs a model."""
    return Servable(pathlib.Path(served.path))


def test_known_pixels_come_back_bit_for_bit(served, session, plain_answers):
    # Graphs are optimised here, unlike in other tests, and in two ways: one of them has
    # made τ / (τ + 0) nearly 1, so that known pixels came back nearly.
    with np.load(plain_answers[served.path]) as answers:
        plain = by_case(answers)
    for case, output in (("inpaint", "images"), ("restore", "mean")):
        given = served.requests[case]
        exact = ~given["masks"]
        if "noise" in given:
            exact &= (given["noise"] == 0)[:, None, None]
        assert exact.any()
        in_session = session.run(case, given, timeout=60)
        check({case: in_session}, {case: served.expected[case]})
        for found in (in_session, plain[case]):
            pixels = found[output][exact]
            np.testing.assert_array_equal(pixels, given["images"][exact])


def test_saved_model_cli_shows_and_runs_it(served, exported, images, tmp_path):
    cli = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    show = [*cli, "show", "--dir", exported, "--all"]
    text = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    for name in (
        "signature_def['generate_png']",
        "inputs['seeds']",
        "tag_set: 'serve'",
    ):
        assert name.replace("tag_set: ", "") in text
    np.save(tmp_path / "images.npy", images)
    run = [*cli, "run", "--dir", exported, "--tag_set", "serve", "--signature_def"]
    run += ["energy", "--inputs", f"images={tmp_path / 'images.npy'}"]
    subprocess.run([*run, "--outdir", str(tmp_path)], check=True, capture_output=True)
    found = np.load(tmp_path / "energy.npy")
    np.testing.assert_allclose(found, served.expected["energy"]["energy"], atol=1e-5)


@pytest.fixture(scope="module")
def run_in_cpp(tmp_path_factory):
    """A function that runs cases in the C++ runtime: outputs, and errors."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    library = pathlib.Path(tf.sysconfig.get_lib())
    if compiler is None or not (library / "libtensorflow_cc.so.2").exists():
        pytest.skip("no C++ compiler, or a wheel without libtensorflow_cc.so.2")
    program = tmp_path_factory.mktemp("cpp") / "run_signatures"
    build = [compiler, "-w", HERE / "run_signatures.cc", "-o", program]
    build += [*tf.sysconfig.get_compile_flags(), f"-L{library}", "-Wl,--no-as-needed"]
    build += ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    subprocess.run([*map(str, build), f"-Wl,-rpath,{library}"], check=True)

    def run(exported, requests, folder):
        lines = []
        for index, (case, inputs) in enumerate(requests.items()):
            lines.append(f"{case.split(':')[0]} {index}\n")
            for name, value in inputs.items():
                proto = tf.make_tensor_proto(value)
                (folder / f"{index}.{name}.pb").write_bytes(proto.SerializeToString())
        command = [str(program), exported, str(folder)]
        subprocess.run(command, input="".join(lines), text=True, check=True)
        found, errors = {}, {}
        for index, case in enumerate(requests):
            for path in folder.glob(f"{index}.*.out.pb"):
                name = path.name.split(".")[1]
                found.setdefault(case, {})[name] = _tensor(path)
            if (folder / f"{index}.error").exists():
                errors[case] = (folder / f"{index}.error").read_text()
        return found, errors

    return run


def _tensor(path):
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(path.read_bytes()))


@pytest.fixture(scope="module")
def cpp_answers(run_in_cpp, served, images, tmp_path_factory):
    """A function of a model: outputs, and errors, of its cases in the C++ runtime.

    Of `served`, malformed requests come first.
    """
    known = {}

    def ask(model):
        if model.path not in known:
            cases = model.requests
            if model is served:
                refused = {
                    case: given for case, (given, _) in malformed(images).items()
                }
                cases = {**refused, **cases}
            folder = tmp_path_factory.mktemp("cases")
            known[model.path] = run_in_cpp(model.path, cases, folder)
        return known[model.path]

    return ask


def test_the_cpp_runtime_gives_what_the_model_gives(cpp_answers, any_served):
    found, errors = cpp_answers(any_served)
    assert not errors.keys() & any_served.requests.keys()
    check(found, any_served.expected)


def huge_png():
    """A file of some bytes that declares 20,000 × 20,000 pixels."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100))),
        (b"IEND", b""),
    ]
    file = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        file += struct.pack(">I", len(data)) + kind + data + checksum
    return file


def malformed(images):
    """Case → (inputs, what the message has to say)."""
    one = {"seeds": np.zeros(1, "int64"), "steps": np.ones(1, "int32")}
    one["speed"] = np.ones(1, "float32")
    restore = {"images": 2 * images[:1], "masks": np.zeros((1, 16, 16), bool), **one}
    restore |= {"noise": np.ones(1, "float32"), "samples": np.ones(1, "int32")}
    nan = images[:1].copy()
    nan[0, 3, 5] = np.nan
    mask = np.zeros((1, 16, 16), bool)
    return {
        "energy:size": ({"images": images[:, :8, :8]}, "shape (n, 16, 16, 1)"),
        "energy:rank": ({"images": images[0]}, "shape (n, 16, 16, 1)"),
        "energy:channels": ({"images": np.repeat(images, 3, -1)}, "(n, 16, 16, 1)"),
        "energy:none": ({"images": images[:0]}, "n from 1 to 40"),
        "energy:many": ({"images": np.repeat(images, 14, 0)}, "n from 1 to 40"),
        "energy:nan": ({"images": nan}, "NaN"),
        "energy:range": ({"images": images * 255}, "[-1, 1]"),
        "generate:many": ({**one, "steps": np.array([51], "int32")}, "from 0 to 50"),
        "generate:negative": ({**one, "steps": np.array([-1], "int32")}, "0 to 50"),
        "generate:seed": ({**one, "seeds": np.array([-1], "int64")}, "of at least 0"),
        "generate:rows": ({**one, "steps": np.ones(2, "int32")}, "one row per row"),
        "inpaint:mask": (
            {"images": images[:1], "masks": mask[:, :8], **one},
            "masks of shape (n, 16, 16)",
        ),
        "inpaint:mask rank": (
            {"images": images[:1], "masks": mask[..., None], **one},
            "masks of shape (n, 16, 16)",
        ),
        "denoise:nan": ({"images": nan, **one}, "NaN"),
        "generate:speed": ({**one, "speed": np.float32([0.5])}, "from 1 to 100"),
        "generate:no speed": ({**one, "speed": np.float32([np.nan])}, "from 1 to 100"),
        "restore:samples": ({**restore, "samples": np.int32([17])}, "from 1 to 16"),
        "restore:noise": ({**restore, "noise": np.float32([-1])}, "of at least 0"),
        "restore:infinite": ({**restore, "noise": np.float32([np.inf])}, "at least 0"),
        "restore:exact": ({**restore, "noise": np.float32([0])}, "[-1, 1]"),
        "restore_mean_pool_2:size": (
            {k: v for k, v in restore.items() if k != "masks"},
            "shape (n, 8, 8, 1)",
        ),
        "energy_bytes:text": ({"image_bytes": np.array([b"no image"])}, "image"),
        "energy_bytes:bomb": ({"image_bytes": np.array([huge_png()])}, "[20000 20000]"),
        "energy_bytes:size": (
            {
                "image_bytes": np.array(
                    [tf.io.encode_png(np.zeros((17, 9, 1), "uint8")).numpy()]
                )
            },
            "at most 16 x 16",
        ),
    }


def test_malformed_requests_are_refused_and_the_next_one_answered(
    cpp_answers, served, images
):
    _, errors = cpp_answers(served)
    for case, (_, message) in malformed(images).items():
        assert "INVALID_ARGUMENT" in errors[case] and message in errors[case], case


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_sizes_are_read_off_headers(kind):
    image = PIL.Image.fromarray(np.full((300, 259), 128, "uint8"))
    file = io.BytesIO()
    image.save(file, kind)
    files = tf.constant([file.getvalue()])
    read = image_files.decode(files, (300, 259, 1), "exact")
    assert np.abs(read).max() < 0.02
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)width.*300\D+259"):
        image_files.decode(files, (259, 300, 1), "exact")


def test_bitmaps_may_be_stored_from_top_to_bottom():
    levels = np.arange(20, dtype="uint8").reshape(5, 4)
    file = io.BytesIO()
    PIL.Image.fromarray(levels).save(file, "BMP")
    content = bytearray(file.getvalue())
    content[22:26] = struct.pack("<i", -5)
    read = image_files.decode(tf.constant([bytes(content)]), (5, 4, 1), "exact")
    np.testing.assert_allclose(read[0, ::-1, :, 0], to_float(levels), atol=1e-6)


def test_encoded_images_are_clipped():
    image = tf.reshape(tf.constant([-9.0, 0.0, 1.5, 1.0]), (1, 2, 2, 1))
    levels = tf.io.decode_png(image_files.encode(image)[0])
    np.testing.assert_array_equal(np.ravel(levels), [0, 128, 255, 255])


def test_a_row_does_not_depend_on_the_others(session):
    given = {
        "seeds": np.array([5, 6, 7]),
        "steps": np.array([1, 9, 0]),
        "speed": np.array([1.0, 4.0, 2.0]),
    }
    together = session.run("generate", given, timeout=60)["images"]
    for i in range(3):
        row = {name: value[i : i + 1] for name, value in given.items()}
        alone = session.run("generate", row, timeout=60)["images"]
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-5)


def test_it_asks_for_no_compiler_and_no_op_of_its_own(exported):
    graph = graph_of(exported).graph_def
    assert not graph.library.registered_gradients  # they would be a tenth of the file
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    assert len(nodes) > 1000
    assert not any(node.attr["_XlaMustCompile"].b for node in nodes)
    assert not any(f.attr["_XlaMustCompile"].b for f in graph.library.function)
    names = {node.op for node in nodes} - {
        f.signature.name for f in graph.library.function
    }
    assert not {name for name in names if "Xla" in name or name == "PyFunc"}


def test_warmup_requests_are_answered(exported, session):
    prediction_log_pb2 = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2"
    )
    records = tf.data.TFRecordDataset(str(pathlib.Path(exported) / warmup.PATH))
    warmed = set()
    for record in records.as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(
            record
        ).predict_log.request
        assert request.model_spec.name == "ladder"
        name = request.model_spec.signature_name
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        assert len(session.run(name, inputs, timeout=60)) >= 1
        warmed.add(name)
    assert {name for name in session.signatures if name[0] != "_"} == {
        *warmed,
        "serving_default",
    }


def test_versions_are_never_overwritten(ladder, tmp_path, monkeypatch):
    (tmp_path / "m" / "3").mkdir(parents=True)
    (tmp_path / "m" / "3" / "saved_model.pb").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="never overwritten"):
        export_saved_model(ladder, tmp_path / "m", version=3)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_cfebm.serving.saved_model._write_signatures", full)
    with pytest.raises(OSError, match="No space"):
        export_saved_model(ladder, tmp_path / "m")
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["3"]
    monkeypatch.setattr(
        "keras_cfebm.serving.saved_model._write_signatures",
        lambda model, folder, *rest: atomic_files.write_text(
            folder / "saved_model.pb", ""
        ),
    )
    assert export_saved_model(ladder, tmp_path / "m") == str(tmp_path / "m" / "4")


def test_labels_are_checked(with_classes):
    session = Servable(pathlib.Path(with_classes.path))
    given = {name: [1] for name in ("seeds", "steps", "speed", "labels", "guidance")}
    for name, wrong, message in (
        ("labels", 3, "labels from 0 to 2"),
        ("guidance", np.nan, "guidance from -100 to 100"),
    ):
        with pytest.raises(ServingError, match=message):
            session.run("generate", {**given, name: [wrong]}, timeout=60)


def test_arguments_are_checked(ladder, make_network, tmp_path):
    with pytest.raises(ValueError, match="fit"):
        export_saved_model(ladder, tmp_path, fit="crop")
    with pytest.raises(ValueError, match="version"):
        export_saved_model(ladder, tmp_path, version=0)
    with pytest.raises(ValueError, match="another energy"):
        export_saved_model(
            ladder, tmp_path, detector=tasks.AnomalyDetector(make_network(16))
        )
    with pytest.raises(ValueError, match=r"model\.sampling_ladder"):
        other = tasks.LadderDetector([ladder.ladder[0], make_network(16)])
        export_saved_model(ladder, tmp_path, detector=other)
    with pytest.raises(ValueError, match="fit"):
        unfitted = tasks.AnomalyDetector(ladder.sampling_network)
        export_saved_model(ladder, tmp_path, detector=unfitted)
    with pytest.raises(ValueError, match="CFEBM"):
        export_saved_model(ladder.network, tmp_path)
    with pytest.raises(ValueError, match=r"signatures of.*received \['translate'\]"):
        export_saved_model(ladder, tmp_path, signatures=["generate", "translate"])
    assert not list(tmp_path.iterdir())
