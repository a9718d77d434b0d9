"""A notebook's first cells in a fresh environment, as Colab has one."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import nbformat
import pytest

NOTEBOOK = pathlib.Path(__file__).parents[2] / "tutorials" / "02_generation.ipynb"
#: What is there before; the oldest TensorFlow, so that a newer one would be noticed.
THERE = ["tensorflow==2.18.0", "keras==3.8.0", "ipython", "setuptools"]
EXAMPLE = """
images = cf.CFEBM.from_preset("fashion_mnist").generate(2, seed=0)
print(cf.__file__, images.shape, bool(images.std() > 0.1))
"""


@pytest.mark.skipif(
    "CFEBM_TEST_INSTALL" not in os.environ,
    reason="installs TensorFlow anew, which takes minutes: run `make test-install`",
)
def test_the_first_cells_of_a_notebook_run_where_only_its_wheel_is(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"

    def pip(*arguments):
        command = [python, "-m", "pip", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True)

    def installed():
        listed = json.loads(pip("list", "--format=json").stdout)
        return {package["name"]: package["version"] for package in listed}

    pip("install", "--quiet", *THERE)
    before = installed()
    content = tmp_path / "content"
    content.mkdir()
    shutil.copy(wheel, content)
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    install, imports = [c.source for c in cells if c.cell_type == "code"][:2]
    assert "# @title Install" in install and "import keras_cfebm as cf" in imports
    # One file, because a kernel runs the cells in one process.
    code = "\n".join([install, imports, EXAMPLE])
    environment = {**os.environ, "MPLBACKEND": "agg", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        [python, "-"],
        input=code,
        cwd=content,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    path, rest = ran.stdout.splitlines()[-1].split(maxsplit=1)
    assert path.startswith(str(tmp_path / "venv"))
    assert rest == "(2, 32, 32, 1) True"
    after = installed()
    assert before.items() <= after.items()
    assert "jax" not in after
    pip("check")
