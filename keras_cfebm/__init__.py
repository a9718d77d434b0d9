"""Coarse-to-fine energy-based image models for Keras 3.

    import keras_cfebm as cf

    model = cf.CFEBM.from_preset("fashion_mnist")  # cf.CFEBM.presets describes them
    cf.plot(model.generate(16))

    to                                    use
    make a model, train it, draw from it  CFEBM, EnergyNetwork
    train it from coarse to fine          fit_progressively, Stage, default_stages
    the same in a folder, resumed         train, RunConfig, load_ladder
    read images                           datasets
    denoise, inpaint, detect, translate   tasks
    judge and show                        evaluation, plot, visualization
    share and serve                       upload_preset, export_saved_model

An energy maps images to numbers, **low = likely**: p(x) = exp(−E(x)) / Z. The modules
read in this order: `layers`, `network`, `sampling`, `model`, `growing`; then `tasks`.
`__init__.pyi` lists the public names.
"""

import pathlib
import sys

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# The command `cfebm` (or `python -m keras_cfebm`) answers before it imports Keras. All
# others get our classes registered at once: `keras.saving.load_model` looks for them.
if pathlib.Path("".join(sys.argv[:1])).stem not in ("cfebm", "-m"):
    import keras_cfebm.model  # noqa: F401
