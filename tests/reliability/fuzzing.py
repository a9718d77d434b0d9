"""What the fuzz tests share: settings, junk values, and what counts as an outcome."""

import signal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def fuzz(examples):
    """Draws that many examples, the same ones at each run."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True)
def no_hang():
    """Ends a test that hangs, where the system has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def hung(*_):
        raise TimeoutError("hung")

    previous = signal.signal(signal.SIGALRM, hung)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def outcome(function, *arguments, errors=(ValueError,), **options):
    """The result, or None for a documented error; any other error gets through."""
    try:
        return function(*arguments, **options)
    except errors as error:
        assert str(error)
        return None


INTEGERS = st.one_of(
    st.integers(-3, 40), st.integers(), st.sampled_from([2**31, 2**63, 2**64, 10**400])
)
NUMBERS = st.one_of(INTEGERS, st.floats(), st.floats(0, 1))
#: Built anew each time, as tests change what they are given.
EMPTY = st.one_of(st.builds(list), st.builds(dict))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=6), EMPTY)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner)
    ),
    max_leaves=5,
)
FEW = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=3))
