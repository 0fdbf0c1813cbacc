"""A method that calls its objective, turned into one that is asked and told.

SciPy's methods call a function and wait for its value. Here the method runs in a thread of its own; where it would
evaluate, it hands the points over and waits. Only one of the two sides ever runs, so that a conversation is as
deterministic as the method, and values told again give the same points again.

The thread is a daemon, starts with the first request, and ends with the method, with `close`, or when the conversation
is no longer held by anyone: waiting for a value it then meets `Cancelled`.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Evaluate = Callable[
    [Floats], Floats
]  # points (k, d) -> values (k, 1 + m): objective and constraints, NaN if failed
Method = Callable[[Evaluate], None]


class Cancelled(BaseException):
    """Raised where a method waits for values that nobody will tell; no method catches a BaseException."""


class Conversation:
    """One run of a method.

    Args:
        method: called once, in the thread, with the function that evaluates.

    Attributes:
        points: (k, d) what the method waits for; None once it has ended.
    """

    def __init__(self, method: Method) -> None:
        self._requests: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        thread = threading.Thread(
            target=_talk, args=(method, self._requests, self._answers), name="optengine-local", daemon=True
        )
        self._close = weakref.finalize(self, self._answers.put, Cancelled)
        thread.start()
        self.points: Floats | None = self._next()

    def answer(self, values: Floats) -> None:
        """Give the values (k, 1 + m) of `points` and wait for the next request."""
        self._answers.put(values)
        self.points = self._next()

    def close(self) -> None:
        """End the thread; nothing more can be answered."""
        self.points = None
        self._close()

    def _next(self) -> Floats | None:
        request = self._requests.get()
        if isinstance(request, BaseException):
            self.close()
            raise request
        if request is None:
            self._close.detach()
        return request  # type: ignore[no-any-return]


def _talk(method: Method, requests: SimpleQueue[Any], answers: SimpleQueue[Any]) -> None:
    """What the thread does; it must not hold the conversation, or nobody could let go of it."""

    def evaluate(points: Floats) -> Floats:
        requests.put(points)
        values = answers.get()
        if values is Cancelled:
            raise Cancelled
        return values  # type: ignore[no-any-return]

    try:
        method(evaluate)
    except Cancelled:
        return
    except BaseException as error:  # noqa: BLE001  whatever it is, the other side must hear of it
        requests.put(error)
    else:
        requests.put(None)
