"""For all tests: Ctrl-C works in the background, no test leaves precision or figures to others."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import mpmath
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_precision() -> Iterator[None]:
    """Fail a test that changes the digits of mpmath for those after it."""
    before = mpmath.mp.prec
    yield
    after, mpmath.mp.prec = mpmath.mp.prec, before
    assert after == before, "set the digits with mpmath.workdps, for this test alone"


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    """Close the figures of a test: pyplot keeps them, and warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
