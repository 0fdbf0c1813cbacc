"""One door to every exact solver of linear models: `solve_linear`.

A backend is a function `solve(model, hint, callback, limits) -> LinearResult` in a module of its own, named in
`BACKENDS` and imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptionError, ProblemError, did_you_mean
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]
Callback = Callable[[Floats, float], None]  # (incumbent x, its value), as soon as the backend shows it

BACKENDS: dict[str, str] = {  # name -> module:function
    "highs": "optengine.backends.highs:solve",
}


class LinearStatus(StrEnum):
    """What an exact backend found out."""

    OPTIMAL = "optimal"  # proved, within the gap asked for
    FEASIBLE = "feasible"  # a limit stopped it; x is the best so far
    UNKNOWN = "unknown"  # a limit stopped it before it had a solution
    INFEASIBLE = "infeasible"  # proved
    UNBOUNDED = "unbounded"  # proved


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When an exact backend has to stop.

    Raises:
        OptionError: a limit outside its range.
    """

    seconds: float = np.inf
    nodes: int | None = None  # of branch and bound; repeatable, unlike seconds
    gap: float = 0.0  # relative gap at which a solution counts as optimal
    threads: int | None = None  # None: the backend's own choice

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise OptionError(f"seconds of Limits must be > 0, got {self.seconds}")
        if self.nodes is not None and self.nodes < 0:
            raise OptionError(f"nodes of Limits must be >= 0 or None, got {self.nodes}")
        if not 0 <= self.gap < np.inf:
            raise OptionError(f"gap of Limits must be >= 0, got {self.gap}")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads of Limits must be >= 1 or None, got {self.threads}")


@dataclass(frozen=True, kw_only=True)
class LinearResult:
    """Outcome of an exact backend; whole variables of `x` are rounded.

    Attributes:
        x: best point (n,), None if there is none. value: c'x, NaN without x.
        bound: proved lower bound on the optimum, -inf if none is known.
        nodes: branch-and-bound nodes. seconds: wall time. backend: who solved it. message: the solver's own words.
    """

    status: LinearStatus
    x: Floats | None = None
    value: float = np.nan
    bound: float = -np.inf
    nodes: int = 0
    seconds: float = 0.0
    backend: str = ""
    message: str = ""


class Backend(Protocol):
    """What a module behind `solve_linear` offers."""

    def __call__(
        self, model: LinearModel, *, hint: Floats | None, callback: Callback | None, limits: Limits
    ) -> LinearResult: ...


def solve_linear(
    model: LinearModel,
    *,
    backend: str = "highs",
    hint: ArrayLike | None = None,
    callback: Callback | None = None,
    limits: Limits | None = None,
) -> LinearResult:
    """Solve a linear model with integers.

    Args:
        model: what to minimise.
        backend: one of `BACKENDS`; "highs" comes with SciPy.
        hint: a point (n,) to start from; the result is never worse than a feasible one.
        callback: called with each incumbent that the backend shows while it runs, at least with the last.
        limits: when to stop; default: never before the proof.

    Raises:
        OptionError: no such backend. ProblemError: a hint of the wrong shape.
        OptEngineError: the backend broke down.
    """
    if backend not in BACKENDS:
        raise OptionError(
            f"backend must be one of {sorted(BACKENDS)}, got {backend!r}{did_you_mean(backend, BACKENDS)}"
        )
    start = None if hint is None else np.asarray(hint, dtype=np.float64)
    if start is not None and start.shape != (model.n_variables,):
        raise ProblemError(f"hint must be of shape ({model.n_variables},), got {start.shape}")
    module, function = BACKENDS[backend].split(":")
    solve = cast(Backend, getattr(importlib.import_module(module), function))
    return solve(model, hint=start, callback=callback, limits=limits or Limits())
