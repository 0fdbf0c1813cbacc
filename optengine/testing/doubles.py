"""Stand-ins for a problem that count, fail, or die: the same problem with another function."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optengine.core.problem import Problem


class PowerCut(Exception):
    """Raised by `Dying` in the middle of a run."""


def with_function(problem: Problem, function: Callable[..., Any]) -> Problem:
    """Return the same problem, structure and all, whose values come from `function`."""
    twin = copy.copy(problem)
    twin.function = function
    return twin


def n_rows(problem: Problem, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many candidates a call of the problem's function is about."""
    if not problem.vectorized:
        return 1
    given = kwargs or args[0]
    return len(next(iter(given.values()))) if isinstance(given, dict) else len(given)


class Counting:
    """Counts evaluated candidates."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.count = problem, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += n_rows(self.problem, args, kwargs)
        return self.problem.function(*args, **kwargs)


class Dying:
    """Raises `PowerCut` once `after` candidates have been evaluated."""

    def __init__(self, problem: Problem, after: int) -> None:
        self.problem, self.after, self.count = problem, after, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += n_rows(self.problem, args, kwargs)
        if self.count > self.after:
            raise PowerCut
        return self.problem.function(*args, **kwargs)


class Failing:
    """Gives no value for a share of the candidates: raises and NaN by turns, the same way for the same candidate."""

    def __init__(self, problem: Problem, share: float) -> None:
        self.problem, self.share = problem, share

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        returned = self.problem.function(*args, **kwargs)
        if self.problem.vectorized:
            lots = [zlib.crc32(repr(row).encode()) for row in _rows(args, kwargs)]
            return _spoiled(returned, np.array(lots) / 2**32 < self.share)
        lot = zlib.crc32(repr((args, sorted(kwargs.items(), key=str))).encode())
        if lot / 2**32 >= self.share:
            return returned
        if lot % 2:
            raise ValueError("this candidate fails in the test")
        return float("nan")


def _rows(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The candidates of a vectorised call, one by one: what fails must not depend on the rest of the batch."""
    columns: list[Any] = []
    for given in (*args, *(kwargs[name] for name in sorted(kwargs))):
        columns += given.values() if isinstance(given, Mapping) else [given]
    return list(zip(*(np.asarray(column).tolist() for column in columns), strict=True))


def _spoiled(returned: Any, bad: Any) -> Any:
    if isinstance(returned, dict):
        return {name: _spoiled(column, bad) for name, column in returned.items()}
    values = np.array(returned, dtype=np.float64)
    values[bad] = np.nan
    return values


def returned_by(problem: Problem, row: Any) -> Any:
    """What the problem's function returns for one encoded row, as a user who evaluates by hand would tell it."""
    if problem.vectorized:
        X = row[None, :]
        x = X if problem.call == "encoded" else problem.space.columns(X)
        returned = problem.function(**x) if problem.call == "kwargs" else problem.function(x)
        if isinstance(returned, dict):
            return {name: column[0] for name, column in returned.items()}
        return returned[0]
    x = row if problem.call == "encoded" else problem.space.decode_one(row)
    if problem.call == "kwargs":
        return problem.function(**{name: x.get(name) for name in problem.space.names})
    return problem.function(x)
