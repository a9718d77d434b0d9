"""The manifest in the documentation is one that KServe takes."""

import copy
import json
import pathlib
import re

import pytest

jsonschema = pytest.importorskip("jsonschema")
yaml = pytest.importorskip("yaml")

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"
SCHEMA = pathlib.Path(__file__).with_name("kserve_inference_service.json")
#: Names of what Kubernetes keeps (RFC 1123).
NAME = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@pytest.fixture(scope="module")
def manifest():
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    (found,) = (text for text in blocks if "InferenceService" in text)
    return yaml.safe_load(found)


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))


def test_the_manifest_is_an_inference_service(manifest, validator):
    validator.validate(manifest)
    kind = manifest["apiVersion"], manifest["kind"]
    assert kind == ("serving.kserve.io/v1beta1", "InferenceService")
    assert NAME.fullmatch(manifest["metadata"]["name"])
    model = manifest["spec"]["predictor"]["model"]
    # KServe's runtime for this format is TensorFlow Serving.
    assert model["modelFormat"]["name"] == "tensorflow"
    assert re.match(r"(pvc|s3|gs|https)://", model["storageUri"])


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("spec", "predictor", "model", "storageURI"), "pvc://models"),
        (("spec", "predictor", "model", "modelFormat"), "tensorflow"),
        (("spec", "predictor", "minReplicas"), "2"),
        (("spec", "predictor", "model", "resources", "limits", "memory"), "two"),
    ],
)
def test_a_mistake_in_it_would_be_found(manifest, validator, place, wrong):
    changed = copy.deepcopy(manifest)
    *way, name = place
    target = changed
    for step in way:
        target = target[step]
    target[name] = wrong
    assert not validator.is_valid(changed)
