"""What all tests share: one Hypothesis profile, no windows, and the device or the reason why there is none."""

from __future__ import annotations

import functools
import importlib.util
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")

# Compiling a kernel breaks any deadline; the same examples every time, so that a red test is the change's fault.
settings.register_profile("house", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@functools.cache
def missing_device() -> str:
    """Why tests marked `gpu` cannot run here; empty where they can."""
    if importlib.util.find_spec("cupy") is None:
        return "cupy is not installed"
    import cupy

    return "" if cupy.cuda.is_available() else "cupy finds no CUDA device"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and missing_device():
        pytest.skip(missing_device())


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """Background jobs of a shell ignore Ctrl-C, and so would the processes that the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.SIG_IGN)
