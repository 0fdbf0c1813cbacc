"""Evaluating a batch in this process: row by row, or at once through a vectorised objective."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import EvaluationFailed, OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.engine.stopper import Stopper

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]
Catch = tuple[type[BaseException], ...]


class Evaluator(Protocol):
    """Evaluates rows and yields (positions, evaluation, reasons) as they finish."""

    def run(self, X: Floats) -> Iterator[tuple[Positions, Evaluation, dict[int, str]]]:
        """Evaluate X (n, width). `reasons` maps positions of failed rows to what happened."""
        ...

    def close(self, kill: bool = False) -> None: ...


def catch_types(catch: Any) -> Catch:
    """Return `catch` as a tuple of exception types: True is every Exception, False or () none.

    Raises:
        OptionError: something that is no exception type.
    """
    if catch is True:
        return (Exception,)
    if not catch:
        return ()
    types = catch if isinstance(catch, (tuple, list, set)) else (catch,)
    if not all(isinstance(t, type) and issubclass(t, Exception) for t in types):
        raise OptionError(f"catch must be True or exception types, got {catch!r}")
    return tuple(types)


def failure_of(problem: Problem, error: EvaluationFailed, catch: Catch) -> str:
    """Return the reason to record for a caught error; raise it again if `catch` does not cover its cause."""
    if isinstance(error.__cause__, catch):
        return str(error)
    raise error


def refuse_missing(problem: Problem, reason: str, row: Floats) -> EvaluationFailed:
    """The error for a value that is missing (NaN, None, told as failed) while nothing is caught."""
    x = problem.space.decode_one(row)
    return EvaluationFailed(
        f"{reason} at {x!r}; pass catch=True to record such evaluations as failed and go on", x
    )


class Serial:
    """Row by row in this process."""

    def __init__(self, problem: Problem, catch: Catch, stopper: Stopper | None = None) -> None:
        self._problem, self._catch, self._stopper = problem, catch, stopper

    def run(self, X: Floats) -> Iterator[tuple[Positions, Evaluation, dict[int, str]]]:
        problem = self._problem
        for i, row in enumerate(X):
            began = time.perf_counter()
            try:
                measured = (
                    problem.measure(row) if self._stopper is None else self._stopper.measure(problem, row)
                )
            except EvaluationFailed as error:
                measured = problem.failure()
                measured.reason = failure_of(problem, error, self._catch)
            measured.seconds = time.perf_counter() - began
            if measured.reason is not None and not self._catch:
                raise refuse_missing(problem, measured.reason, row)
            reasons = {i: measured.reason} if measured.reason is not None else {}
            yield np.array([i]), problem.collect([measured]), reasons

    def close(self, kill: bool = False) -> None:
        pass


class Vectorised:
    """The whole batch in one call."""

    def __init__(self, problem: Problem, catch: Catch) -> None:
        self._problem, self._catch = problem, catch

    def run(self, X: Floats) -> Iterator[tuple[Positions, Evaluation, dict[int, str]]]:
        problem, reasons = self._problem, {}
        began = time.perf_counter()
        try:
            evaluation = problem.measure_batch(X)
        except EvaluationFailed as error:
            reason = failure_of(problem, error, self._catch)
            evaluation = problem.collect([problem.failure() for _ in X])
            reasons = dict.fromkeys(range(len(X)), reason)
        evaluation.seconds = np.full(len(X), (time.perf_counter() - began) / max(1, len(X)))
        if evaluation.failed.any() and not reasons:
            missing = np.flatnonzero(evaluation.failed)
            if not self._catch:
                self._raise_with_rest(X, evaluation, int(missing[0]))
            reasons = dict.fromkeys(missing.tolist(), "the objective returned NaN")
        yield np.arange(len(X)), evaluation, reasons

    def _raise_with_rest(self, X: Floats, evaluation: Evaluation, first: int) -> None:
        """Raise for the first NaN; the values of the other rows travel on the error, so that none is lost."""
        error = refuse_missing(self._problem, "the objective returned NaN", X[first])
        good = np.flatnonzero(~evaluation.failed)
        error.rest = (good, evaluation.take(good))  # type: ignore[attr-defined]
        raise error

    def close(self, kill: bool = False) -> None:
        pass
