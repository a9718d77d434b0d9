"""A flag as one row of a table, and the rows that several commands share.

The library is not imported here: a typo or `--help` is answered at once. A default or a
choice of the library's is written out, and a test compares the two.
"""

import dataclasses
import textwrap
from collections.abc import Callable
from typing import Any

from absl import flags


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a command.

    Args:
        kind: str, its type, as in absl's `DEFINE_<kind>`.
        name: str, without dashes.
        default: its value if it is not given; None where the text tells what happens.
        text: str, what it means.
        limits: dict, further arguments of `DEFINE_<kind>`.
        required: bool, whether the command cannot run without it.
        usual: str, what `--help` shows as the default where that is None.
    """

    kind: str
    name: str
    default: Any
    text: str
    limits: dict[str, Any] = dataclasses.field(default_factory=dict)
    required: bool = False
    usual: str | None = None

    def define(self, values: flags.FlagValues) -> flags.Flag:
        """Adds the flag to `values`, and returns what absl makes of it."""
        arguments = {"help": self.text, "flag_values": values, **self.limits}
        getattr(flags, f"DEFINE_{self.kind}")(self.name, self.default, **arguments)
        return values[self.name]

    def described(self) -> str:
        """The lines of `--help`: name, meaning, type and default."""
        flag = self.define(flags.FlagValues())
        notes = [flag.parser.syntactic_help]
        if flag.default_as_str:
            notes.append(f"default: {flag.default_as_str[1:-1]}")
        elif self.usual is not None:
            notes.append(f"default: {self.usual}")
        if self.required:
            notes.append("required")
        note = "; ".join(filter(None, notes))
        return textwrap.fill(
            f"{flag.help} ({note})" if note else flag.help,
            width=80,
            initial_indent=f"  --{'[no]' * flag.boolean}{self.name}".ljust(26),
            subsequent_indent=" " * 26,
        )


def _kind(kind: str) -> Callable[..., Flag]:
    """The function that makes flags of a kind; its other keywords are the limits."""
    return lambda name, default, text, usual=None, **limits: Flag(
        kind, name, default, text, limits, usual=usual
    )


string, integer, number, boolean, several, choice = map(
    _kind, ("string", "integer", "float", "boolean", "list", "enum")
)

RUN_DIR = Flag("string", "run_dir", None, "Run folder.", required=True)
MODEL = Flag(
    "string",
    "model",
    None,
    "Name of a pretrained preset, run folder, .keras file or folder of saved_models.",
    required=True,
)
LABEL = string(
    "label",
    None,
    "Class of a conditional model, by name or number; by default all, row by row.",
)
GUIDANCE = number(
    "guidance",
    0.0,
    "How much clearer than learned images are of their class, of a conditional model; "
    "0.5 to 2 is usual.",
)
SPEED = number(
    "speed",
    1.0,
    "About how many times fewer and larger Langevin steps, for quick images.",
    lower_bound=0.01,
    upper_bound=100,
)
SAMPLES = integer(
    "samples", 8, "Chains of each image, of which the mean is shown too.", lower_bound=1
)
FALSE_POSITIVE_RATE = number(
    "false_positive_rate",
    0.05,
    "Share of held-out normal images above the threshold.",
    lower_bound=0,
    upper_bound=1,
)
DATA = (
    string("data", None, "Image set; by default the run's."),
    string("split", None, "Split; by default the test split."),
    string("fit", None, "exact, pad, resize or crop; by default as in the run."),
    several("classes", None, "Classes to keep; by default the run's."),
)
SOURCE = (
    string("source", None, "Source set; by default the run's."),
    string("source_split", None, "Its split; by default the test split."),
    several("source_classes", None, "Its classes; by default the run's."),
)
# By default these three are the task's own.
CHAIN = (
    integer("steps", None, "Langevin steps per level.", lower_bound=0),
    number("step_size", None, "Langevin step size η."),
    number("noise_scale", None, "Langevin noise σ at the first step."),
)


def images(count: int, seed: int | None = 0) -> tuple[Flag, ...]:
    """How many images, by default `count`, from which noise, and how many at a time.

    What is judged has the same noise each time, and so comparable figures; what is only
    drawn has fresh noise, `seed=None`.
    """
    text = "Seed of all noise" + (
        ", and of the choice of images."
        if seed is not None
        else "; by default another each time, which is printed."
    )
    return (
        integer("count", count, "Number of images.", lower_bound=1),
        integer("seed", seed, text, lower_bound=0),
        integer("batch_size", 64, "Images at a time.", lower_bound=1),
    )


def task(count: int, seed: int | None = 0) -> tuple[Flag, ...]:
    """The flags of every task; see `images`."""
    text = (
        "Folder of pictures and figures; by default tasks/TASK beside the model, or of "
        "a preset tasks/PRESET/TASK here."
    )
    return MODEL, string("output", None, text), *images(count, seed)
