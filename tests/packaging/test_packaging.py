"""The wheel: complete, and usable far from the checkout."""

import pathlib
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).parents[2]


def test_the_wheel_holds_what_the_package_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "keras_cfebm/__init__.pyi",
        "keras_cfebm/py.typed",
        "keras_cfebm/assets/fashion_mnist_12k.npz",
        "keras_cfebm/assets/fashion_mnist_LICENSE.txt",
        "keras_cfebm/assets/classifier.keras",
        "keras_cfebm/assets/classifier.json",
    ):
        assert name in names
    for folder in (ROOT / "saved_models").iterdir():
        for name in ("model.keras", "README.md"):
            assert f"keras_cfebm/saved_models/{folder.name}/{name}" in names
    assert not any(name.startswith(("tests", "benchmarks")) for name in names)


def test_an_installed_wheel_finds_its_data(wheel, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, f"--target={target}", str(wheel)], check=True)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import keras_cfebm as cf\n"
        f"assert cf.__file__.startswith({str(target)!r}), cf.__file__\n"
        "data = cf.datasets.load('fashion_mnist_embedded', resolution=32, fit='pad')\n"
        "classifier = cf.evaluation.fashion_classifier()\n"
        "predicted = classifier.predict_classes(data.images(50))\n"
        "assert cf.CFEBM.from_preset('fashion_mnist').resolution == 32\n"
        "print(len(data), (predicted == data.labels(50)).mean())\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    count, accuracy = shown.stdout.split()
    assert int(count) == 10_000 and float(accuracy) > 0.8
    assert (target / "bin" / "cfebm").exists()
