"""An import of TensorFlow that does not tell of the hardware that could be there."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

#: Remarks that are written whatever the level, with the second line that one has.
_REMARK = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} |To enable the following instr"
)


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """For the import of TensorFlow, whose C++ code then keeps quiet to the end.

    A user who has set TF_CPP_MIN_LOG_LEVEL keeps that level, and sees all at level 0.
    """
    # Level 3, as the lack of a GPU is logged as an error; real ones come from Python.
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if level == "0" or sys.stderr is None:
        yield
        return
    with without_remarks():
        yield


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """Holds standard error back, and then shows what of it is no remark."""
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if not _REMARK.match(line):
                    os.write(2, line)
