"""A start without the lines in which TensorFlow tells of other hardware."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
#: Remarks that are written whatever the level, with the second line that one has.
_REMARK = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} |To enable the following instr"
)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Holds back the remarks of libraries that are imported inside, and quietens them.

    All else that is written to standard error meanwhile is shown after the imports. A
    user who has set TF_CPP_MIN_LOG_LEVEL keeps that level, and sees all at level 0.
    """
    # Level 3, as the lack of a GPU is logged as an error. What does fail is raised too.
    if os.environ.setdefault(_LEVEL, "3") == "0" or sys.stderr is None:
        yield
        return
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
