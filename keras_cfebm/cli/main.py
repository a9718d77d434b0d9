"""Entry point of the command `cfebm`: understands the command line, then runs it."""

import difflib
import importlib
import logging
import sys
from collections.abc import Iterable, Sequence

from absl import flags

from keras_cfebm.cli.commands import COMMANDS, Command
from keras_cfebm.cli.quiet import quiet_tensorflow
from keras_cfebm.utils.terminal import never_fail
from keras_cfebm.utils.version import __version__

USAGE = """usage: cfebm COMMAND [--flag=value ...]

Coarse-to-fine energy-based image models.

{}

cfebm COMMAND --help shows the flags of a command, cfebm --version the version."""


def main(arguments: Sequence[str]) -> int:
    """Runs a command line.

    Args:
        arguments: list of str, what follows `cfebm`.

    Returns:
        int, the exit code: 0 for success, 1 for an error that is explained on standard
        error, 2 for a wrong command line, 128 + n when stopped by signal n.
    """
    name, *rest = arguments or ["help"]
    if name == "--version":
        print(f"cfebm {__version__}")
    elif name == "help" or _asks_for_help([name]):
        lines = [f"  {n:<12} {command.summary}" for n, command in COMMANDS.items()]
        print(USAGE.format("\n".join(lines)))
        return 0 if arguments else 2
    elif name not in COMMANDS:
        hint = _hint(name, [*COMMANDS, "help", "--help", "--version"])
        return _wrong("cfebm", f"unknown command {name!r}{hint}")
    elif _asks_for_help(rest):
        print(f"usage: cfebm {name} [--flag=value ...]\n\n{COMMANDS[name].described()}")
    else:
        try:
            values = parsed(COMMANDS[name], rest)
        except flags.Error as error:
            return _wrong(f"cfebm {name}", str(error))
        # Imported only now, as it imports Keras and TensorFlow, which take seconds.
        with quiet_tensorflow():
            module = importlib.import_module("keras_cfebm.cli.execute")
        return module.execute(name, values)
    return 0


def _asks_for_help(arguments: Iterable[str]) -> bool:
    """Whether one of the arguments asks what there is."""
    return not {"--help", "-h", "-?"}.isdisjoint(arguments)


def parsed(command: Command, arguments: Sequence[str]) -> flags.FlagValues:
    """The flags of a command line.

    Raises:
        flags.Error: if it cannot be understood.
    """
    values = command.flag_values()
    try:
        positional = values(["cfebm", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        flag = f"--{error.flagname}"
        hint = _hint(flag, [f"--{name}" for name in values])
        raise flags.Error(f"unknown flag {flag!r}{hint}") from error
    if positional:
        raise flags.Error(f"unexpected argument {positional[0]!r}")
    for row in command.rows:
        if row.required and values[row.name].value is None:
            raise flags.Error(f"expected --{row.name}, received none.")
    return values


def _hint(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: what may have been meant."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


def _wrong(command: str, message: str) -> int:
    """Explains a wrong command line; returns its exit code."""
    print(f"{command}: {message}\nSee {command} --help.", file=sys.stderr)
    return 2


def run() -> None:
    """Console entry point."""
    never_fail()
    logging.basicConfig(format="%(message)s")
    sys.exit(main(sys.argv[1:]))
