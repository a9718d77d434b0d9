"""Reading batches leaves the C library's ways with memory as they are."""

import subprocess
import sys

import pytest

# Arrays of this size are below those for which NumPy asks for large pages.
_SCRIPT = """
import resource
import numpy as np
from keras_cfebm import datasets

data = datasets.load("fashion_mnist_embedded", resolution=32, fit="pad")
next(iter(data.batches(32, 8)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.ones(2**21, "uint8")
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts Linux' page faults")
def test_memory_that_is_freed_is_used_again():
    # `tf.data.Dataset.from_generator` lets each of them be new pages, 512 of them.
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100 * 512 / 4
