"""Entry point of the command `cfebm`: finds the subcommand, reports errors."""

import importlib
import shlex
import sys

from absl import flags, logging

from keras_cfebm.callbacks import CheckpointError, DivergenceError, Interrupted
from keras_cfebm.runs.run_folder import RunError

COMMANDS = {
    "train": "train a model, or go on with a run that was stopped",
    "presets": "list the named configurations of training",
    "sample": "generate images with a trained model",
    "demo": "train on the embedded images and judge the samples",
    "interpolate": "go from one sample to another through the noise",
    "neighbours": "show samples beside their nearest training images",
    "denoise": "remove noise from images, beside classical filters",
    "inpaint": "fill missing pixels, beside classical methods",
    "detect": "tell anomalies from normal images, with a threshold",
    "translate": "turn images of one domain into another's",
    "saliency": "show what a chain changes and an energy looks at",
    "export": "write a SavedModel for TensorFlow Serving",
    "serve": "answer requests to a SavedModel, for development",
    "evaluate": "measure the distance of samples to real images",
    "report": "turn a run folder into one HTML page",
}

USAGE = """usage: cfebm COMMAND [--flag=value ...]

Coarse-to-fine energy-based image models.

{commands}

cfebm COMMAND --help shows the flags of a command.
"""


def usage():
    """The help text of the command itself."""
    lines = [f"  {name:<12} {summary}" for name, summary in COMMANDS.items()]
    return USAGE.format(commands="\n".join(lines))


def main(arguments):
    """Runs a command line.

    Args:
        arguments: list of str, what follows `cfebm`.

    Returns:
        int, the exit code: 0 for success, 1 for an error that is explained on standard
        error, 2 for a wrong command line, 128 + n when stopped by signal n.
    """
    if not arguments or arguments[0] in ("help", "--help", "-h"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"cfebm: unknown command {name!r}\n\n{usage()}", file=sys.stderr)
        return 2
    command = importlib.import_module(f"keras_cfebm.cli.{name}")
    values = flags.FlagValues()
    command.define_flags(values)
    if any(flag in rest for flag in ("--help", "-h", "-?")):
        print(f"cfebm {name}: {command.__doc__}\n{values.get_help()}")
        return 0
    try:
        positional = values([f"cfebm {name}", *rest])[1:]
        if positional:
            raise flags.Error(f"unexpected argument {positional[0]!r}")
    except flags.Error as error:
        print(f"cfebm {name}: {error}\nSee cfebm {name} --help.", file=sys.stderr)
        return 2
    return _run(command, name, values)


def _run(command, name, values):
    logging.set_verbosity(logging.INFO)
    expected = (
        CheckpointError,
        DivergenceError,
        RunError,
        ImportError,  # of an optional extra
        ValueError,
        OSError,
    )
    try:
        command.main(values)
    except Interrupted as stop:
        print(
            f"\n{stop} The state is saved; the same command goes on from there:\n"
            f"  cfebm {name} {shlex.join(_given(values))}",
            file=sys.stderr,
        )
        return stop.exit_code
    except KeyboardInterrupt:
        print(f"\ncfebm {name}: stopped.", file=sys.stderr)
        return 130
    except expected as error:
        print(f"cfebm {name}: error: {error}", file=sys.stderr)
        return 1
    return 0


def _given(values):
    """The flags that were given, as a command line."""
    return [values[n].serialize() for n in sorted(values) if values[n].present]


def run():
    """Console entry point."""
    sys.exit(main(sys.argv[1:]))
