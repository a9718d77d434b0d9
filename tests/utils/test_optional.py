"""Packages that need not be installed, and what their absence says."""

import math

import pytest

from keras_cfebm.utils.optional import optional_import


def test_what_is_there_is_imported():
    assert optional_import("math") is math
    assert optional_import("xml.dom", "some_extra").__name__ == "xml.dom"


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [("eval", '"keras_cfebm[eval]"'), (None, "no-such-package")],
)
def test_what_is_missing_is_named_with_its_installation(extra, wanted):
    with pytest.raises(ImportError) as error:
        optional_import("no_such_package.inside", extra)
    message = str(error.value)
    assert message.startswith("Expected no_such_package.inside, ")
    assert message.endswith(f"run pip install {wanted}.")
    assert isinstance(error.value.__cause__, ImportError)
