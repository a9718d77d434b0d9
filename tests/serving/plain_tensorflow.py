"""Runs signatures of a SavedModel where neither Keras nor keras_cfebm can be imported.

usage: plain_tensorflow.py (SAVED_MODEL REQUESTS.npz ANSWERS.npz)...

Names in both files are "<case>/<input or output>", and "<case>" begins with the
signature's name, up to a colon.
"""

import sys

sys.modules["keras"] = sys.modules["keras_cfebm"] = None

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

for name in ("keras", "keras_cfebm"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} could be imported")

paths = iter(sys.argv[1:])
for folder, requests, answers in zip(paths, paths, paths, strict=True):
    signatures = tf.saved_model.load(folder).signatures
    cases = {}
    for name, value in np.load(requests).items():
        case, key = name.split("/")
        value = value.astype(object) if value.dtype.kind == "S" else value
        cases.setdefault(case, {})[key] = tf.constant(value)
    found = {}
    for case, inputs in cases.items():
        for key, output in signatures[case.split(":")[0]](**inputs).items():
            found[f"{case}/{key}"] = output.numpy()
    np.savez(
        answers,
        **{k: v.astype("S") if v.dtype == object else v for k, v in found.items()},
    )
