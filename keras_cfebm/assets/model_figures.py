"""Measures what a model of `saved_models/` does well and where it fails, for its card.

    python -m keras_cfebm.assets.model_figures --name=fashion_mnist

judges `model.keras` by every task that it serves and writes `figures.json` and the part
of the card below "What it does"; `--only=inpainting,soundness` those sections alone.
Models of garments are judged on the images in this package, so that nothing else is
needed than the shipped file; those of emoji need the images that they were trained on,
see `keras_cfebm.assets.make_emoji`.
"""

import datetime
import json
import pathlib
from collections.abc import Callable, Collection
from typing import Any

import keras
from absl import app, flags

from keras_cfebm import configs
from keras_cfebm.assets import card_sections as card
from keras_cfebm.assets.figures_text import as_markdown
from keras_cfebm.assets.yardsticks import Yardstick
from keras_cfebm.model import CFEBM
from keras_cfebm.runs.run_folder import load_ladder
from keras_cfebm.utils import atomic_files

_FOLDER = pathlib.Path("saved_models")
#: A ladder of this resolution is judged as a whole only.
_SMALL = 32


def measured(
    name: str,
    model: CFEBM,
    samples: int = 2000,
    reference: int = 2000,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """All figures of a model, or those of some sections, and when they were measured.

    Args:
        name: str, its preset.
        model: `CFEBM`.
        samples: int, number of samples of each distance.
        reference: int, reference images of the detector that is judged.
        only: names of sections of the card, such as `"inpainting"`; None for all.

    Raises:
        ValueError: if a model of this kind has no such section.
    """
    config = configs.config(name)
    yardstick = Yardstick(config.data)
    sections: dict[str, Callable[[], Any]] = {"check": lambda: card.checked(model)}
    if config.source is None:
        sections["generation"] = lambda: card.generation(model, yardstick, samples)
        if config.data.resolution > _SMALL:
            sections["smaller"] = lambda: card.smaller(model, config.data, samples)
        if yardstick.has_all:
            sections["novelty"] = lambda: card.novelty(model, yardstick)
        if model.num_classes is not None:
            sections["guidance"] = lambda: card.guidance(model, yardstick, samples)
        sections["inpainting"] = lambda: card.inpainting(model, yardstick)
        sections["soundness"] = lambda: card.soundness(model, yardstick)
    elif config.source_noise:
        sections["denoising"] = lambda: card.denoising(model, yardstick)
    else:
        source = config.source
        sections["translation"] = lambda: card.translation(model, yardstick, source)
    if model.detector is not None:
        sections["detection"] = lambda: card.detection(model, yardstick, reference)
    chosen = list(sections if only is None else only)
    if unknown := set(chosen) - set(sections):
        raise ValueError(
            f"Expected sections of {list(sections)}, received {sorted(unknown)}."
        )
    figures = {section: sections[section]() for section in chosen}
    today = datetime.date.today().isoformat()
    return {**figures, "dates": dict.fromkeys(chosen, today)}


def updated(figures: dict[str, Any], anew: dict[str, Any]) -> dict[str, Any]:
    """Figures, of which some have been measured anew, each with its date."""
    dates = {**figures["dates"], **anew["dates"]}
    return {**figures, **anew, "dates": dates}


def write(folder: pathlib.Path, figures: dict[str, Any]) -> None:
    """Writes figures.json, and the part of the card that shows them."""
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    atomic_files.write_text(folder / "figures.json", text + "\n")
    readme = folder / "README.md"
    head = readme.read_text(encoding="utf-8").partition("\n## What it does\n")[0]
    atomic_files.write_text(readme, head + "\n" + as_markdown(folder.name, figures))


def main(argv):
    """Measures and writes."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected flags only, received {argv[1:]}.")
    folder = _FOLDER / flags.FLAGS.name
    model = load_ladder(folder / "model.keras")
    only = flags.FLAGS.only or None
    figures = measured(
        folder.name, model, flags.FLAGS.samples, flags.FLAGS.reference, only
    )
    if only:
        former = (folder / "figures.json").read_text(encoding="utf-8")
        figures = updated(json.loads(former), figures)
    write(folder, figures)


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    flags.DEFINE_string("name", None, "Folder in saved_models.", required=True)
    flags.DEFINE_list("only", [], "Sections to measure anew, others stay; or all.")
    flags.DEFINE_integer("samples", 2000, "Samples of each distance.", lower_bound=130)
    flags.DEFINE_integer("reference", 2000, "Of the detector.", lower_bound=64)
    app.run(main)
