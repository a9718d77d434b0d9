"""Something that is done around an import."""

import contextlib
import importlib
import sys

import pytest

from keras_cfebm.utils.import_hooks import AroundImport


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """What happens, in order; the module `observed` says when it runs."""
    events = []

    @contextlib.contextmanager
    def context():
        events.append("before")
        yield
        events.append("after")

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "observed.py").write_text("import sys\nsys.observed.append('import')\n")
    monkeypatch.setattr(sys, "observed", events, raising=False)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    sys.meta_path.insert(0, AroundImport("observed", context))
    yield events
    sys.modules.pop("observed", None)


def test_the_first_import_runs_inside_the_context(seen):
    importlib.import_module("colorsys")  # another module
    assert seen == []
    module = importlib.import_module("observed")
    assert seen == ["before", "import", "after"]
    importlib.reload(module)
    assert seen == ["before", "import", "after", "import"]


def test_a_module_that_is_missing_is_missing(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    sys.meta_path.insert(0, AroundImport("not_there", contextlib.nullcontext))
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        importlib.import_module("not_there")
