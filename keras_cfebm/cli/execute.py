"""Runs a command that was understood, and explains the errors it may end with."""

import importlib
import re
import shlex
import sys
from collections.abc import Iterable

from absl import flags, logging

from keras_cfebm.callbacks import CheckpointError, DivergenceError, Interrupted
from keras_cfebm.runs.run_folder import RunError

#: Errors whose message is enough; others are bugs and show where they happened.
_EXPLAINED = (
    CheckpointError,
    DivergenceError,
    RunError,
    ImportError,  # of an optional extra
    ValueError,
    OSError,
)


def execute(name: str, values: flags.FlagValues) -> int:
    """Runs a command.

    Args:
        name: str, a key of `COMMANDS`.
        values: its parsed flags.

    Returns:
        int, the exit code, see `main`.
    """
    logging.set_verbosity(logging.INFO)
    command = importlib.import_module(f"keras_cfebm.cli.{name}")
    try:
        command.main(values)
    except Interrupted as stop:
        given = [values[n].serialize() for n in sorted(values) if values[n].present]
        print(
            f"\n{stop} The state is saved; the same command goes on from there:\n"
            f"  cfebm {name} {shlex.join(given)}",
            file=sys.stderr,
        )
        return stop.exit_code
    except KeyboardInterrupt:
        print(f"\ncfebm {name}: stopped.", file=sys.stderr)
        return 130
    except _EXPLAINED as error:
        message = in_flags(str(error), values)
        print(f"cfebm {name}: error: {message}", file=sys.stderr)
        return 1
    return 0


def in_flags(message: str, names: Iterable[str]) -> str:
    """A message of the library in the words of the command line.

    Args:
        message: str, which may name arguments: `batch_size`, `sigma=2`, `Expected
            count of …`.
        names: names of the command's flags.

    Returns:
        str, with `--` before those that are flags.
    """
    for name in names:
        word = rf"(?<![\w.\-/'\"]){name}(?![\w./'\"])"
        # A name of one word is an English word too, unless it stands as an argument.
        clear = word if "_" in name else rf"{word}(?==)"
        message = re.sub(
            rf"{clear}|(?<=Expected ){word}(?= (of|in|from) )", f"--{name}", message
        )
    return message
