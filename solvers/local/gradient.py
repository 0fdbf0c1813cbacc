"""Quasi-Newton methods with finite differences: L-BFGS-B and SLSQP, through SciPy.

All points of a gradient are asked together, so that workers evaluate them in parallel; every one of them counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.solvers.local.conversation import Evaluate
from optengine.solvers.local.lanes import LanesRun
from optengine.solvers.local.objective import Objective, Stall
from optengine.solvers.local.options import check, refuses

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

STEP = 1.5e-8  # square root of the machine epsilon
ITERATIONS = 10_000  # of one start; the engine's budget is what ends it
FIRST_STEP = (
    1000.0  # first step of SLSQP along the gradient, in edges of the cube: the bounds cut it, then it halves
)
WINDOW = 3  # iterations over which a start must have paid


@dataclass(frozen=True, slots=True, kw_only=True)
class LBFGSB:
    """L-BFGS-B, a limited-memory quasi-Newton method for bounds (Byrd et al. 1995, doi:10.1137/0916069), restarted.

    For smooth objectives of many columns. An iteration costs d + 1 evaluations and O(memory d). The first start is at
    the best point known (x0, data), else in the middle of the space; the others are uniform.

    Attributes:
        starts: how many; None goes on until the engine ends the run.
        step: of finite differences, in edges of the unit cube; larger for objectives with noise in their last digits.
        central: two evaluations a coordinate, of second order, instead of one.
        tolerance: relative decrease of one iteration below which a start has converged.
        memory: corrections kept of the Hessian.
        stall: a start is left when three iterations gain less than this share of what the ten before gained; None:
            never.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int | None = None
    step: float = STEP
    central: bool = False
    tolerance: float = 1e-12
    memory: int = 10
    stall: float | None = 1e-4

    def __post_init__(self) -> None:
        check(self)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, columns that are not real numbers, observed constraints."""
        return refuses(problem, constraints=False)

    def start(self, problem: Problem, rng: Generator) -> LanesRun:
        """Return a new run."""
        return LanesRun(problem, rng, _LBFGSB(self), self.starts)


class _LBFGSB:
    def __init__(self, options: LBFGSB) -> None:
        self._options = options

    def run(self, evaluate: Evaluate, start: Floats, rng: Generator) -> str:
        from scipy import optimize

        minimize: Any = optimize.minimize  # the stubs want literals
        o = self._options
        objective = Objective(evaluate, o.step, o.central)
        callback = None if o.stall is None else Stall(objective, WINDOW, o.stall)
        settings = {
            "maxcor": o.memory, "ftol": o.tolerance, "gtol": 0.0, "maxiter": ITERATIONS, "maxfun": 10**9,
        }  # fmt: skip
        done = minimize(
            objective.both, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(start),
            callback=callback, options=settings,
        )  # fmt: skip
        return str(done.message).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class SLSQP:
    """Sequential least squares (Kraft 1988), a dense quasi-Newton method for bounds and constraints, restarted.

    For smooth objectives of tens of columns, with observed constraints or without; linear rows of the space are given
    to it too. An iteration costs d + 1 evaluations and more where the line search goes on, and O(d^3). Values are
    scaled by the first gradient, so that the run does not depend on the objective's unit.

    Attributes:
        starts, step, central, stall: as for `LBFGSB`; under observed constraints no start is left for stalling.
        tolerance: of the scaled objective, at which a start has converged.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int | None = None
    step: float = STEP
    central: bool = False
    tolerance: float = 1e-15
    stall: float | None = 1e-4

    def __post_init__(self) -> None:
        check(self)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, and columns that are not real numbers."""
        return refuses(problem, constraints=True)

    def start(self, problem: Problem, rng: Generator) -> LanesRun:
        """Return a new run."""
        return LanesRun(problem, rng, _SLSQP(self, problem), self.starts)


class _SLSQP:
    def __init__(self, options: SLSQP, problem: Problem) -> None:
        self._options, self._n_constraints = options, problem.n_constraints
        self._rows = linear_rows(problem)

    def run(self, evaluate: Evaluate, start: Floats, rng: Generator) -> str:
        from scipy import optimize

        minimize: Any = optimize.minimize  # the stubs want literals
        o = self._options
        objective = Objective(evaluate, o.step, o.central)
        steepest = float(np.abs(objective.gradient(start)).max())
        if steepest > 0.0:
            objective.scale = FIRST_STEP / steepest
        constraints: list[dict[str, Any]] = [
            {"type": "eq" if equal else "ineq", "fun": _Line(a, b), "jac": _Slope(a)}
            for a, b, equal in self._rows
        ]
        if self._n_constraints:
            constraints.append(
                {
                    "type": "ineq",
                    "fun": lambda u: -objective.constraints(u),
                    "jac": lambda u: -objective.jacobian(u),
                }
            )
        stall = None
        if o.stall is not None and not self._n_constraints:  # on the way to feasible points values may rise
            stall = Stall(objective, WINDOW, o.stall)
        done = minimize(
            objective.value, start, jac=objective.gradient, method="SLSQP", bounds=[(0.0, 1.0)] * len(start),
            constraints=constraints, callback=stall,
            options={"maxiter": ITERATIONS, "ftol": o.tolerance},
        )  # fmt: skip
        return str(done.message).lower()


class _Line:
    """u -> a u + b."""

    def __init__(self, a: Floats, b: float) -> None:
        self._a, self._b = a, b

    def __call__(self, u: Floats) -> float:
        return float(self._a @ u) + self._b


class _Slope:
    """u -> a."""

    def __init__(self, a: Floats) -> None:
        self._a = a

    def __call__(self, u: Floats) -> Floats:
        return self._a


def linear_rows(problem: Problem) -> list[tuple[Floats, float, bool]]:
    """Return the space's linear rows over the cube of free columns, as (a, b, equality) with a u + b >= 0 or = 0.

    Rows that touch a logarithmic column are left to the repair.
    """
    space = problem.space
    free = space.lower < space.upper
    free[[column for column, _ in space.fidelity.values()]] = False
    fixed = space.lower.copy()
    for column, target in space.fidelity.values():
        fixed[column] = target
    extent = space.upper - space.lower
    found: list[tuple[Floats, float, bool]] = []
    for a, low, high in zip(space.A, space.row_lower, space.row_upper, strict=True):
        if (a[space.log & free] != 0).any():
            continue
        slope = (a * extent)[free]
        offset = float(a @ np.where(free, space.lower, fixed))
        size = max(float(np.abs(slope).max(initial=0.0)), 1e-300)
        if low == high:
            found.append((slope / size, (offset - low) / size, True))
            continue
        if np.isfinite(low):
            found.append((slope / size, (offset - low) / size, False))
        if np.isfinite(high):
            found.append((-slope / size, (high - offset) / size, False))
    return found
