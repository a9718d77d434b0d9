"""Packaging of keras_cfebm: the only place that holds its metadata."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$',
    (HERE / "keras_cfebm" / "utils" / "version.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

BROWSER = ["playwright>=1.40"]
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.26"]
EMOJI = ["fonttools>=4.38"]
EVAL = ["scikit-image>=0.24", "scikit-learn>=1.4"]
HUB = ["huggingface_hub>=0.23", "kagglehub>=0.3"]
JAX = ["jax>=0.4.34"]
LSUN = ["lmdb>=1.4"]
ONNX = ["tf2onnx>=1.16", "onnxruntime>=1.18"]
SERVE = [
    "grpcio>=1.60",
    "starlette>=0.40",
    "tensorflow-serving-api>=2.18",
    "uvicorn>=0.30",
]
DEV = [
    "pytest>=8",
    "pytest-xdist>=3",
    "hypothesis>=6",
    "mypy>=1.11",
    "ruff>=0.8",
    "scipy>=1.11",
    "tensorboard>=2.18",
    "ipykernel>=6.29",
    "jupytext>=1.16",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "setuptools>=70",
    "wheel",
]

TORCH = ["torch>=2.6"]

setup(
    name="keras-cfebm",
    version=VERSION,
    description="Coarse-to-fine energy-based image models for Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["keras_cfebm", "keras_cfebm.*"]),
        "keras_cfebm.saved_models",
    ],
    # An installed package has the pretrained models of the checkout inside.
    package_dir={"keras_cfebm.saved_models": "saved_models"},
    package_data={
        "keras_cfebm": ["py.typed", "*.pyi", "assets/*.*", "serving/web/*"],
        "keras_cfebm.saved_models": ["*/model.keras", "*/README.md", "*/samples.png"],
    },
    install_requires=[
        "absl-py>=2",
        "importlib_resources>=6",  # tensorflow-datasets needs it, undeclared
        "jinja2>=3.1",
        "keras>=3.8",
        "lazy-loader>=0.4",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10.1",
        "tensorflow>=2.18",
        "tensorflow-datasets>=4.9.7",
        "tf-keras-vis>=0.8.7",
    ],
    extras_require={
        "browser": BROWSER,
        "docs": DOCS,
        "emoji": EMOJI,
        "eval": EVAL,
        "fid": ["torch-fidelity>=0.4"],
        "hub": HUB,
        "jax": JAX,
        "lsun": LSUN,
        "onnx": ONNX,
        "serve": SERVE,
        "torch": TORCH,
        "dev": DEV + DOCS + EMOJI + EVAL + JAX + LSUN + ONNX + SERVE,
    },
    entry_points={"console_scripts": ["cfebm = keras_cfebm.cli.main:run"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
