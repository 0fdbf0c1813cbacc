"""What happens in a worker: a problem arrives pickled, rows are measured, exceptions become values that travel."""

from __future__ import annotations

import os
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import EvaluationFailed, OptEngineError
from optengine.core.problem import Problem
from optengine.core.returned import Measured
from optengine.engine.stopper import measure

Floats = NDArray[np.float64]

_SENT: dict[str, bytes] = {}  # in a worker: the pickled problem it was sent, by key
_INSTALLED: dict[str, Problem] = {}  # and the same unpickled


@dataclass
class Raised:
    """An exception that happened in a worker, in a form that always travels."""

    message: str
    names: tuple[str, ...]  # qualified names of its classes, by which `catch` recognises it
    trace: str
    contract: OptEngineError | None = None  # the objective broke its contract: never caught


def qualified(kind: type[BaseException]) -> str:
    """Return the name by which a class is recognised in another process."""
    return f"{kind.__module__}.{kind.__qualname__}"


def measure_rows(problem: Problem, rows: Floats, line: Any = None) -> list[Measured | Raised]:
    """Measure rows one by one; exceptions become values.

    Args:
        problem, rows: what to measure.
        line: makes a reporter for each evaluation, where they may be stopped early.
    """
    if problem.vectorized:
        return _measure_together(problem, rows)
    outcomes: list[Measured | Raised] = []
    for row in rows:
        began = time.perf_counter()
        try:
            measured = problem.measure(row) if line is None else measure(problem, row, line.trial())
            measured.seconds = time.perf_counter() - began
            outcomes.append(measured)
        except OptEngineError as error:
            outcomes.append(_raised(error))
    return outcomes


def _measure_together(problem: Problem, rows: Floats) -> list[Measured | Raised]:
    """Measure rows by one call of a vectorised objective."""
    began = time.perf_counter()
    try:
        evaluation = problem.measure_batch(rows)
    except OptEngineError as error:
        return [_raised(error)] * len(rows)
    seconds = (time.perf_counter() - began) / len(rows)
    noise, cost = evaluation.noise, evaluation.cost
    return [
        Measured(
            tuple(evaluation.F[i].tolist()),
            tuple(evaluation.G[i].tolist()),
            None if noise is None else tuple(noise[i].tolist()),
            None if cost is None else float(cost[i]),
            seconds,
            "the objective returned NaN" if evaluation.failed[i] else None,
        )
        for i in range(len(rows))
    ]


def _raised(error: OptEngineError) -> Raised:
    if not isinstance(error, EvaluationFailed):
        return Raised(str(error), (), "", type(error)(str(error)))
    cause = error.__cause__ or error
    names = tuple(qualified(kind) for kind in type(cause).__mro__)
    return Raised(str(error), names, "".join(traceback.format_exception(cause)))


def measure_sent(
    key: str, payload: bytes | None, rows: Floats, line: Any = None, serial: int = 0
) -> list[Measured | Raised]:
    """In a worker: measure rows of the problem `key`, unpickled once from `payload`; `line` as for `measure_rows`.

    `serial` makes each call another one for executors that remember the results of equal calls, as Dask's does.
    """
    if payload is not None and key not in _SENT:
        install(key, payload)
    try:
        problem = ready(key)
    except Exception as error:  # noqa: BLE001  (unpickling runs the objects' own code)
        reason = f"the worker cannot load the problem ({type(error).__name__}: {error})"
        return [Raised(reason, (), "", EvaluationFailed(reason))] * len(rows)
    return measure_rows(problem, rows, line)


def install(key: str, payload: bytes | None, parent: int | None = None) -> None:
    """In a worker: keep the problem; a worker of our own leaves Ctrl-C to its parent and dies with it."""
    if parent is not None:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_die_with_parent, args=(parent,), daemon=True).start()
    if payload is not None:
        _INSTALLED.clear()
        _SENT.clear()
        _SENT[key] = payload


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def ready(key: str) -> Problem:
    """In a worker: unpickle the problem `key` if that has not been done."""
    if key not in _INSTALLED:
        import cloudpickle

        _INSTALLED[key] = cloudpickle.loads(_SENT[key])
    return _INSTALLED[key]


def stand_up(key: str) -> None:
    """In a worker: load the problem, and stay long enough for the other workers to have to start too."""
    ready(key)
    time.sleep(0.02)
