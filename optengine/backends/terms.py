"""What exact backends are asked and answer, and which there are.

A backend is a function `solve(model, task, events) -> LinearResult` in a module of its own, named in `BACKENDS` with
what it can do, and imported when it is first asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptionError, did_you_mean
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]


class LinearStatus(StrEnum):
    """What an exact backend found out."""

    OPTIMAL = "optimal"  # proved, within the gap asked for
    FEASIBLE = "feasible"  # a limit stopped it, or it proves nothing; x is the best so far
    UNKNOWN = "unknown"  # a limit stopped it before it had a solution
    INFEASIBLE = "infeasible"  # proved
    UNBOUNDED = "unbounded"  # proved


@dataclass(frozen=True, kw_only=True)
class Capability:
    """What a backend takes and gives.

    Attributes:
        place: module:function. library: what must be installed, with its extra; "" for SciPy's own.
        integers, reals: kinds of variable it takes. proves: whether its bounds and infeasibility are proofs.
        incumbents, bounds: whether they come while it runs. hints: whether it starts from a point, partial ones too.
        threads: whether it uses several. nodes: whether it obeys a limit on nodes.
        process: always in a process of its own; `process_from`: from so many nonzeros on, where it looks at nothing
            between two steps that take long there.
    """

    place: str
    extra: str = ""
    module: str = "scipy"
    integers: bool = True
    reals: bool = True
    proves: bool = True
    incumbents: bool = True
    bounds: bool = True
    hints: bool = True
    threads: bool = True
    nodes: bool = True
    process: bool = False
    process_from: float = math.inf


_ORTOOLS: dict[str, Any] = {"module": "ortools", "extra": "exact"}
_LP: dict[str, Any] = {
    "integers": False,
    "incumbents": False,
    "bounds": False,
    "hints": False,
    "nodes": False,
}
BACKENDS: dict[str, Capability] = {
    "highs": Capability(place="optengine.backends.highs:solve", process_from=2e5),
    "scip": Capability(
        place="optengine.backends.mathopt:solve_scip", threads=False, process=True, **_ORTOOLS
    ),
    "cpsat": Capability(place="optengine.backends.cpsat:solve", reals=False, nodes=False, **_ORTOOLS),
    "glop": Capability(place="optengine.backends.mathopt:solve_glop", threads=False, **_ORTOOLS, **_LP),
    "pdlp": Capability(place="optengine.backends.mathopt:solve_pdlp", proves=False, **_ORTOOLS, **_LP),
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When an exact backend has to stop, and how it may work until then.

    Raises:
        OptionError: a limit outside its range.
    """

    time_limit: float = np.inf  # seconds
    nodes: int | None = None  # of branch and bound; repeatable, unlike seconds
    gap: float = 0.0  # relative gap at which a solution counts as optimal
    threads: int | None = None  # None: the backend's own choice
    seed: int | None = None  # None: the backend's own

    def __post_init__(self) -> None:
        if not _is_number(self.time_limit) or not self.time_limit > 0:
            raise OptionError(f"time_limit must be > 0 seconds, got {self.time_limit!r}")
        for name, least in (("nodes", 0), ("threads", 1), ("seed", 0)):
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if value is not None and not (whole and value >= least):
                raise OptionError(f"{name} must be an integer >= {least} or None, got {value!r}")
        if not _is_number(self.gap) or not 0 <= self.gap < np.inf:
            raise OptionError(f"gap must be a finite number >= 0, got {self.gap!r}")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a backend is asked beside the model: a hint (n,), NaN where it says nothing, and limits."""

    limits: Limits
    hint: Floats | None = None
    approximate: bool = False
    streams: bool = True  # whether anybody listens to incumbents and bounds


@dataclass(frozen=True, kw_only=True)
class LinearResult:
    """Outcome of an exact backend; whole variables of `x` are rounded.

    Attributes:
        x: best point (n,), None if there is none. value: c'x, NaN without x.
        reduced_costs: (n,) of an optimum of a model without whole variables, where the backend tells (HiGHS does).
        bound: proved lower bound on the optimum, -inf if none is known.
        nodes: branch-and-bound nodes. seconds: wall time. backend: who solved it. message: the solver's own words.
    """

    status: LinearStatus
    x: Floats | None = None
    reduced_costs: Floats | None = None
    value: float = np.nan
    bound: float = -np.inf
    nodes: int = 0
    seconds: float = 0.0
    backend: str = ""
    message: str = ""


def check_backend(backend: str) -> None:
    """Raise OptionError if there is no such backend."""
    if backend not in BACKENDS:
        raise OptionError(
            f"backend must be one of {sorted(BACKENDS)}, got {backend!r}{did_you_mean(str(backend), BACKENDS)}"
        )


def refusal(model: LinearModel, backend: str, approximate: bool = False) -> str | None:
    """Why a backend does not take a model, or None if it does."""
    can = BACKENDS[backend]
    whole = int(model.integrality.sum())
    if whole and not can.integers:
        return f"backend {backend!r} solves models without whole variables, got {whole} of them"
    if approximate and backend == "cpsat":
        return None
    if not can.reals:
        if whole < model.n_variables:
            return (
                f"backend {backend!r} needs whole variables only, got {model.n_variables - whole} real ones "
                "(approximate=True puts them on a grid, without proof)"
            )
        endless = np.flatnonzero(~np.isfinite(model.lb) | ~np.isfinite(model.ub))
        if len(endless):
            j = int(endless[0])
            return f"backend {backend!r} needs finite bounds, got [{model.lb[j]}, {model.ub[j]}] for variable {j}"
    return None


def installed(backend: str) -> bool:
    """Whether the library of a backend is there."""
    import importlib.util

    return importlib.util.find_spec(BACKENDS[backend].module) is not None


def settled(model: LinearModel, x: ArrayLike) -> Floats:
    """A backend's point with its whole variables rounded and all within their bounds."""
    point = np.clip(np.asarray(x, dtype=np.float64), model.lb, model.ub)
    return np.where(model.integrality, np.rint(point), point) + 0.0  # 735.9999999 stands for 736


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
