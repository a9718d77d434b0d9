"""Draws the diagrams of the docs, README and notebooks as small SVG files.

    python docs/diagrams.py            all of them
    python docs/diagrams.py expand     only this one

Boxes are computations, arrows tensors; orange is what a training step changes.
"""

import itertools
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

FOLDER = pathlib.Path(__file__).parent / "images"
# Of the palette of Okabe and Ito, which people with any colour vision tell apart.
BLUE, ORANGE, GREEN, GREY, INK = "#cfe5f3", "#f7d9a8", "#c9e8dd", "#ececec", "#222222"


class Drawing:
    """A sheet of boxes and arrows, in units of about a letter's height.

    Args:
        width: float.
        height: float.
    """

    def __init__(self, width, height):
        self.figure = plt.figure(figsize=(width / 9, height / 9))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def box(self, x, y, text, width=14.0, height=4.5, color=BLUE):
        """A labelled box around the point (x, y)."""
        corner = (x - width / 2, y - height / 2)
        style = "round,pad=0,rounding_size=0.8"
        patch = FancyBboxPatch(
            corner, width, height, style, facecolor=color, edgecolor=INK, linewidth=0.8
        )
        self.axes.add_patch(patch)
        self.text(x, y, text)

    def text(self, x, y, text, **options):
        """Text around the point (x, y)."""
        options = {"ha": "center", "va": "center", "fontsize": 9, **options}
        self.axes.text(x, y, text, color=INK, **options)

    def arrow(self, *points, label="", offset=(0.0, 1.2)):
        """An arrow through points, with a label at the middle of its last part."""
        for start, end in itertools.pairwise(points):
            style = "-|>" if end == points[-1] else "-"
            patch = FancyArrowPatch(
                start,
                end,
                arrowstyle=style,
                mutation_scale=10,
                shrinkA=0,
                shrinkB=0,
                color=INK,
                linewidth=1,
            )
            self.axes.add_patch(patch)
        if label:
            (x0, y0), (x1, y1) = points[-2:]
            middle = (x0 + x1) / 2 + offset[0], (y0 + y1) / 2 + offset[1]
            self.text(*middle, label, fontsize=8)

    def save(self, name):
        """Writes `docs/images/name.svg`."""
        path = FOLDER / f"{name}.svg"
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
            self.figure.savefig(path, metadata={"Date": None})
        plt.close(self.figure)
        return path


def expand():
    """The Expand block, and what growth adds to a network."""
    d = Drawing(96, 30)
    d.text(7, 19, "image\n2r × 2r")
    d.arrow((11, 19), (15, 19), (15, 24), (18, 24))
    d.arrow((11, 19), (15, 19), (15, 12), (18, 12))
    d.box(26, 24, "new 1×1 conv", 15, color=ORANGE)
    d.arrow((33.5, 24), (37, 24))
    d.box(45, 24, "residual block,\nhalves the side", 16, 6, color=ORANGE)
    d.arrow((53, 24), (63, 24), (63, 20.5), label="× β", offset=(2.6, 0))
    d.box(26, 12, "mean pool 2×2", 15, color=GREY)
    d.arrow((33.5, 12), (37, 12))
    d.box(45, 12, "old 1×1 conv", 16)
    d.arrow((53, 12), (63, 12), (63, 15.5), label="× (1 − β)", offset=(4.4, 0))
    d.box(63, 18, "+", 4, 4, color=GREY)
    d.arrow((65, 18), (72, 18))
    d.box(83, 18, "the network of r × r,\nwithout its 1×1 conv", 21, 7)
    d.arrow((93.5, 18), (95.5, 18))
    d.text(45, 28.4, "Primal", fontstyle="italic")
    d.text(45, 8.2, "Fade", fontstyle="italic")
    d.text(
        48,
        3,
        "β = 0: exactly the old energy of the mean-pooled image.   β = 1: Fade is "
        "dropped.   Orange: new weights.",
        fontsize=8,
    )
    return d.save("expand")


def chain():
    """The ladder of energies, and the chain that climbs it."""
    d = Drawing(96, 34)
    for index, side in enumerate((8, 16, 32)):
        x, y = 20 + 28 * index, 9 + 9 * index
        d.box(x, y, f"Langevin, K steps\nwith $E_{{{side}}}$", 19, 7)
        d.text(x, y + 5.2, f"{side} × {side} pixels", fontsize=8)
        if index:
            d.arrow((x - 18.5, y - 9), (x, y - 9), (x, y - 3.5))
            d.text(x - 9, y - 7.6, "enlarge ×2", fontsize=8)
    d.arrow((5, 9), (10.5, 9))
    d.text(4, 11.5, "noise", fontsize=9)
    d.arrow((85.5, 27), (91, 27))
    d.text(91.5, 29.5, "sample", fontsize=9)
    d.text(
        48,
        2.2,
        r"one step:  $x \leftarrow x - \eta\,\partial E(x)/\partial x + "
        r"\sigma_k \varepsilon$.   While $E_{32}$ trains, $E_8$ and $E_{16}$ are "
        "frozen.",
        fontsize=8,
    )
    return d.save("chain")


def training_step():
    """What happens in one training step."""
    d = Drawing(96, 32)
    d.box(12, 25, "batch of images", 16, color=GREY)
    d.box(12, 9, "noise", 16, color=GREY)
    d.arrow((20, 9), (26, 9))
    d.box(38, 9, "chain from coarse to fine,\nno gradient of it", 24, 7)
    d.arrow((20, 25), (59, 25), (59, 20))
    d.text(40, 26.2, "positives $x^+$", fontsize=8)
    d.arrow((50, 9), (59, 9), (59, 14))
    d.text(54.6, 10.4, "negatives $x^-$", fontsize=7)
    d.box(64, 17, r"$E_\theta(x^+)$,  $E_\theta(x^-)$", 18, 6, color=ORANGE)
    d.arrow((73, 17), (77, 17))
    d.box(86, 17, "loss: mean $E_\\theta(x^+)$\n− mean $E_\\theta(x^-)$", 18, 7)
    d.arrow((86, 13.5), (86, 6), (69, 6), (69, 14))
    d.text(77.5, 7.4, r"Adam along $\partial_\theta$ of the loss", fontsize=8)
    d.arrow((64, 14), (64, 3), (38, 3), (38, 5.5))
    d.text(51, 1.6, "the same energy draws the next negatives", fontsize=8)
    return d.save("training_step")


def tasks():
    """A task is a start and a constraint of one and the same chain."""
    d = Drawing(96, 39)
    rows = (
        ("generate", "noise, coarsest level", "nothing is held"),
        ("inpaint", "noise in the hole", "known pixels put back"),
        ("denoise", "the noisy image", "few steps"),
        ("translate", "an image of another set", "few steps, or stay near it"),
        ("restore", "noise, or a damaged image", "agree with what is known"),
        ("detect", "the image itself", "how it moves is the score"),
    )
    for x, title in (
        (12, "task"),
        (36, "the chain starts at"),
        (82, "and at each step"),
    ):
        d.text(x, 36, title, fontweight="bold")
    d.box(60, 18, "the one\ntrained\nenergy", 9, 29, color=ORANGE)
    for index, (task, start, constraint) in enumerate(rows):
        y = 30.5 - 5 * index
        d.text(12, y, task)
        d.box(36, y, start, 26, 4, color=GREY)
        d.arrow((49, y), (55.5, y))
        d.arrow((64.5, y), (69, y))
        d.box(82, y, constraint, 26, 4, color=GREEN)
    return d.save("tasks")


if __name__ == "__main__":
    for draw in (expand, chain, training_step, tasks):
        if draw.__name__ in sys.argv[1:] or not sys.argv[1:]:
            print(draw())
