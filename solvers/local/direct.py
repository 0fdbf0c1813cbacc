"""Methods without gradients: COBYQA, Nelder-Mead, Powell and dual annealing, through SciPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.solvers.local.conversation import Evaluate
from optengine.solvers.local.gradient import STEP, linear_rows
from optengine.solvers.local.lanes import LanesRun
from optengine.solvers.local.objective import Objective
from optengine.solvers.local.options import check, refuses

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

EVALUATIONS = 10**9  # of one start; the engine's budget is what ends it


@dataclass(frozen=True, slots=True, kw_only=True)
class COBYQA:
    """COBYQA, a trust region with quadratic models (Ragonneau, thesis, Hong Kong 2022, arXiv:2210.12018), restarted.

    For smooth or slightly rough objectives of tens of columns that are dear: no evaluations go into gradients. Observed
    constraints and linear rows are modelled too. The models of d columns are updated in O(d^2) to O(d^4): milliseconds
    an evaluation, one point after another.

    Attributes:
        starts: how many; None goes on until the engine ends the run.
        radius: of the first trust region, in edges of the unit cube.
        tolerance: radius of the last trust region.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int | None = None
    radius: float = 0.2
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        check(self)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, and columns that are not real numbers."""
        return refuses(problem, constraints=True)

    def start(self, problem: Problem, rng: Generator) -> LanesRun:
        """Return a new run."""
        return LanesRun(problem, rng, _COBYQA(self, problem), self.starts)


class _COBYQA:
    def __init__(self, options: COBYQA, problem: Problem) -> None:
        self._options, self._n_constraints = options, problem.n_constraints
        self._rows = linear_rows(problem)

    def run(self, evaluate: Evaluate, start: Floats, rng: Generator) -> str:
        # not through scipy.optimize.minimize, which holds one lock for the whole process while COBYQA runs: the second
        # of two open starts would wait for ever
        from scipy._lib.cobyqa import minimize  # type: ignore[import-not-found]  # not in the stubs
        from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

        o, d = self._options, len(start)
        objective = Objective(evaluate, STEP, central=False)
        constraints: list[Any] = [
            LinearConstraint(a[np.newaxis], -b, -b if equal else np.inf) for a, b, equal in self._rows
        ]
        if self._n_constraints:
            constraints.append(NonlinearConstraint(objective.constraints, -np.inf, 0.0))
        settings = {
            "radius_init": o.radius, "radius_final": min(o.tolerance, o.radius),
            "maxfev": EVALUATIONS, "maxiter": EVALUATIONS, "store_history": False,
        }  # fmt: skip
        box = Bounds(np.zeros(d), np.ones(d))
        done = minimize(objective.value, start, (), box, constraints, None, settings)
        return str(done.message).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class NelderMead:
    """The simplex of Nelder and Mead (1965, doi:10.1093/comjnl/7.4.308), adaptive (Gao and Han 2012), restarted.

    For rough objectives of few columns. An iteration costs one or two evaluations and O(d).

    Attributes:
        starts: how many; None goes on until the engine ends the run.
        radius: edge of the first simplex, in edges of the unit cube.
        tolerance: size of the simplex at which a start has converged.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int | None = None
    radius: float = 0.1
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        check(self)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, columns that are not real numbers, observed constraints."""
        return refuses(problem, constraints=False)

    def start(self, problem: Problem, rng: Generator) -> LanesRun:
        """Return a new run."""
        return LanesRun(problem, rng, _NelderMead(self), self.starts)


class _NelderMead:
    def __init__(self, options: NelderMead) -> None:
        self._options = options

    def run(self, evaluate: Evaluate, start: Floats, rng: Generator) -> str:
        from scipy import optimize

        minimize: Any = optimize.minimize  # the stubs want literals
        o = self._options
        objective = Objective(evaluate, STEP, central=False)
        inwards = np.where(start + o.radius <= 1.0, o.radius, -o.radius)
        simplex = np.concatenate([start[np.newaxis], start + np.diag(inwards)])
        settings = {
            "initial_simplex": simplex, "adaptive": True, "xatol": o.tolerance, "fatol": np.inf,
            "maxfev": EVALUATIONS, "maxiter": EVALUATIONS,
        }  # fmt: skip
        bounds = [(0.0, 1.0)] * len(start)
        done = minimize(objective.value, start, method="Nelder-Mead", bounds=bounds, options=settings)
        return str(done.message).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Powell:
    """Powell's conjugate directions (1964, doi:10.1093/comjnl/7.2.155) within bounds, restarted.

    Line after line: good where columns matter one by one, poor in valleys. An iteration costs some 30 d evaluations.

    Attributes:
        starts: how many; None goes on until the engine ends the run.
        tolerance: relative decrease of an iteration, and of a line search, at which a start has converged.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int | None = None
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        check(self)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, columns that are not real numbers, observed constraints."""
        return refuses(problem, constraints=False)

    def start(self, problem: Problem, rng: Generator) -> LanesRun:
        """Return a new run."""
        return LanesRun(problem, rng, _Powell(self), self.starts)


class _Powell:
    def __init__(self, options: Powell) -> None:
        self._options = options

    def run(self, evaluate: Evaluate, start: Floats, rng: Generator) -> str:
        from scipy import optimize

        minimize: Any = optimize.minimize  # the stubs want literals
        o = self._options
        objective = Objective(evaluate, STEP, central=False)
        settings = {
            "xtol": o.tolerance, "ftol": o.tolerance, "maxfev": EVALUATIONS, "maxiter": EVALUATIONS,
        }  # fmt: skip
        bounds = [(0.0, 1.0)] * len(start)
        done = minimize(objective.value, start, method="Powell", bounds=bounds, options=settings)
        return str(done.message).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class DualAnnealing:
    """Generalised simulated annealing with local searches (Xiang et al. 1997, doi:10.1016/S0375-9601(97)00474-X).

    SciPy's `dual_annealing`; its local searches are L-BFGS-B with finite differences whose points are asked together.
    Begun anew when its iterations are used up.

    Attributes:
        starts: how many; None goes on until the engine ends the run.
        temperature: at the start. visit: shape of the visiting distribution. accept: shape of the acceptance.
        polish: whether accepted points are improved by L-BFGS-B; without it, generalised annealing alone.
        step: of finite differences, in edges of the unit cube.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int | None = None
    temperature: float = 5230.0
    visit: float = 2.62
    accept: float = -5.0
    polish: bool = True
    step: float = STEP

    def __post_init__(self) -> None:
        check(self)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, columns that are not real numbers, observed constraints."""
        return refuses(problem, constraints=False)

    def start(self, problem: Problem, rng: Generator) -> LanesRun:
        """Return a new run."""
        return LanesRun(problem, rng, _DualAnnealing(self), self.starts)


class _DualAnnealing:
    def __init__(self, options: DualAnnealing) -> None:
        self._options = options

    def run(self, evaluate: Evaluate, start: Floats, rng: Generator) -> str:
        from scipy import optimize

        dual_annealing: Any = optimize.dual_annealing  # the stubs want literals
        o = self._options
        objective = Objective(evaluate, o.step, central=False)
        bounds = [(0.0, 1.0)] * len(start)
        local = {"method": "L-BFGS-B", "jac": objective.gradient, "bounds": bounds}
        done = dual_annealing(
            objective.value, bounds, x0=start, rng=rng, initial_temp=o.temperature, visit=o.visit,
            accept=o.accept, maxfun=EVALUATIONS, no_local_search=not o.polish, minimizer_kwargs=local,
        )  # fmt: skip
        return str(done.message).lower() if isinstance(done.message, str) else "all iterations done"
