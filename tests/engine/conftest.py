"""What the tests of the engine share: how an error must read, and programs run in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest

from optengine import OptEngineError, Result

Clear = Callable[..., AbstractContextManager[pytest.ExceptionInfo[Any]]]


@pytest.fixture
def clear() -> Clear:
    """`with clear(OptionError, "budget", "0"):` expects that error, in one line, with these words in it."""

    @contextmanager
    def expect(kind: type[BaseException], *words: str) -> Iterator[pytest.ExceptionInfo[Any]]:
        with pytest.raises(kind) as caught:
            yield caught
        message = str(caught.value)
        assert isinstance(caught.value, OptEngineError)
        assert message
        assert "\n" not in message
        for word in words:
            assert word in message, f"{word!r} is missing in: {message}"

    return expect


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python on `code` with `arguments` in sys.argv[1:]; whatever still runs is killed with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def same_run() -> Callable[[Result, Result], None]:
    """Assert that two results come from the same candidates and values, bit for bit, in the same order."""

    def compare(a: Result, b: Result) -> None:
        assert a.n_evaluations == b.n_evaluations
        assert np.array_equal(a.history.number, b.history.number)
        assert a.history.X.tobytes() == b.history.X.tobytes()
        assert a.history.F.tobytes() == b.history.F.tobytes()
        assert (a.fun, a.status) == (b.fun, b.status)

    return compare
