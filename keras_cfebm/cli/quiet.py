"""An import of TensorFlow that does not tell of the hardware that could be there."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from keras_cfebm.utils.import_hooks import AroundImport

#: Remarks that are written whatever the level, with the second line that one has.
_REMARK = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} |To enable the following instr"
)


def quieten_tensorflow() -> None:
    """Silences TensorFlow's C++ code, so that errors are left, raised in Python.

    A user who has set TF_CPP_MIN_LOG_LEVEL keeps that level, and sees all at level 0.
    """
    # Level 3, as the lack of a GPU is logged as an error.
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if level != "0" and sys.stderr is not None:
        sys.meta_path.insert(0, AroundImport("tensorflow", without_remarks))


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
