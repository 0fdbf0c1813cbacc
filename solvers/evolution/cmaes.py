"""CMA-ES with restarts: a normal distribution learns its mean, step size and covariance from ranked samples.

Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772; restarts: IPOP (Auger and Hansen, CEC 2005,
doi:10.1109/CEC.2005.1554902) and BIPOP (Hansen, GECCO 2009, doi:10.1145/1570256.1570333). Spaces with integers or
levels get CMA-ES with margin (Hamano et al., GECCO 2022, arXiv:2205.13482), those with categories or bits CatCMA with
margin (Hamano et al., arXiv:2504.07884), both through the package `cmaes`; reals alone need no package.

What differs from the tutorial: the box is kept by folding an unbounded search into it, never by clipping; a generation
may have more rows than the population when more were asked together; restarts are fresh, at a uniform random mean; a
run ends as soon as its values differ too little for it to reach the best known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.space import PERMUTATION, REAL, SIMPLEX, SUBSET
from optengine.solvers.evolution.gaussian import Gaussian, fold, unfold
from optengine.solvers.evolution.regimes import RESTARTS
from optengine.solvers.evolution.strategy import StrategyRun, default_population

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.evolution.margin import MarginRun
    from optengine.solvers.evolution.surrogate import SurrogateRun

Floats = NDArray[np.float64]

LARGEST_FULL = 2000  # columns whose covariance is kept in full: 32 MB, and minutes a decomposition beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class CMAES:
    """CMA-ES with restarts for numbers, levels and categories; one objective, observed constraints by rank.

    A generation costs O(population d^2), and O(d^3) every d / 10 generations or so. Feasible points come before
    infeasible ones, failed ones last (Deb 2000). The first run starts at the best point known (x0, data), else in the
    middle of the space.

    Attributes:
        sigma: first step size, in edges of the unit cube: about a quarter of the region where the optimum should be.
        population: rows of a generation, at least 4; None is 4 + floor(3 ln d).
        restarts: "bipop", "ipop" or "never" (converged when the first run ends).
        surrogate: evaluate only the part of a generation that a linear or quadratic model cannot rank (lq-CMA-ES;
            Hansen, GECCO 2019, doi:10.1145/3321707.3321842). Some 0.2 ms an evaluation at d = 5, 1 ms at d = 20: for
            objectives that cost more. Reals without observed constraints; candidates come one by one.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    sigma: float = 0.2
    population: int | None = None
    restarts: str = "bipop"
    surrogate: bool = False

    def __post_init__(self) -> None:
        check_options(self.sigma, self.population, self.restarts)
        if not isinstance(self.surrogate, bool):
            raise OptionError(f"surrogate must be True or False, got {self.surrogate!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, permutations and subsets, too many columns; with a surrogate all but plain reals."""
        reason = refuses_structure(problem)
        if reason is not None:
            return reason
        kinds, d = free_kinds(problem), free_columns(problem)
        if d > LARGEST_FULL:
            return (
                f"a full covariance of {d} columns is too large, at most {LARGEST_FULL}; sep_cmaes takes them"
            )
        if self.surrogate and problem.n_constraints:
            return "its surrogate knows no observed constraints; switch it off with surrogate=False"
        if self.surrogate and not kinds <= {REAL}:
            return "its surrogate needs real numbers only; switch it off with surrogate=False"
        return None

    def start(self, problem: Problem, rng: Generator) -> CMAESRun | MarginRun | SurrogateRun:
        """Return a new run of the kind that the space needs."""
        if not free_kinds(problem) <= {REAL, SIMPLEX}:
            from optengine.solvers.evolution.margin import MarginRun

            return MarginRun(problem, rng, self.sigma, self.population, self.restarts)
        if self.surrogate:
            from optengine.solvers.evolution.surrogate import SurrogateRun

            return SurrogateRun(problem, rng, self.sigma, self.population, self.restarts)
        return CMAESRun(problem, rng, self.sigma, self.population, self.restarts, diagonal=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SepCMAES:
    """CMA-ES with a diagonal covariance (Ros and Hansen, 2008): O(population d) a generation, no rotations learnt.

    For hundreds of columns and more, or where the axes are the natural ones. Reals only.

    Attributes:
        sigma, population, restarts: as for `CMAES`.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    sigma: float = 0.2
    population: int | None = None
    restarts: str = "bipop"

    def __post_init__(self) -> None:
        check_options(self.sigma, self.population, self.restarts)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, and columns that are not real numbers."""
        reason = refuses_structure(problem)
        if reason is None and not free_kinds(problem) <= {REAL, SIMPLEX}:
            return "it moves real numbers only; cmaes takes integers and categories"
        return reason

    def start(self, problem: Problem, rng: Generator) -> CMAESRun:
        """Return a new run."""
        return CMAESRun(problem, rng, self.sigma, self.population, self.restarts, diagonal=True)


class GaussianPart:
    """A `Gaussian` between two restarts, as `StrategyRun` wants it."""

    exact = False

    def __init__(self, gaussian: Gaussian, rng: Generator) -> None:
        self.gaussian, self.population, self._rng = gaussian, gaussian.population, rng

    def sample(self, n: int) -> tuple[Floats, list[Any]]:
        V = self.gaussian.sample(n, self._rng)
        return fold(V), list(V)

    def learn(self, notes: list[Any], values: Floats) -> None:
        order = np.argsort(values, kind="stable")
        self.gaussian.update(np.array(notes)[order], values[order])

    def visit(self, u: Floats) -> Floats:
        """Pull the point in to a typical length: Hansen, Injecting external solutions, arXiv:1110.4181."""
        v = unfold(u)
        z = self.gaussian.whiten(v[np.newaxis])[0]
        length, d = float(np.linalg.norm(z)), self.gaussian.d
        longest = math.sqrt(d) + 2.0 * d / (d + 2.0)
        return v if length <= longest else self.gaussian.colour(z[np.newaxis] * (longest / length))[0]

    def stopped(self, floor: float) -> str | None:
        return self.gaussian.stopped(floor)


class CMAESRun(StrategyRun):
    """State of one run over real columns."""

    def __init__(
        self,
        problem: Problem,
        rng: Generator,
        sigma: float,
        population: int | None,
        restarts: str,
        *,
        diagonal: bool,
    ) -> None:
        super().__init__(
            problem.space, rng, restarts, population or default_population(free_columns(problem))
        )
        self._sigma, self._diagonal = sigma, diagonal

    def _new(self, mean: Floats, step: float, population: int) -> GaussianPart:
        gaussian = Gaussian(unfold(mean), self._sigma * step, population, diagonal=self._diagonal)
        return GaussianPart(gaussian, self._rng)


def check_options(sigma: Any, population: Any, restarts: Any) -> None:
    """Raise OptionError for options outside their range."""
    number = isinstance(sigma, (int, float, np.floating)) and not isinstance(sigma, bool)
    if not number or not 0 < sigma < math.inf:
        raise OptionError(f"sigma must be > 0 and finite, got {sigma!r}")
    if population is not None:
        whole = isinstance(population, (int, np.integer)) and not isinstance(population, bool)
        if not whole or population < 4:
            raise OptionError(f"population must be an integer >= 4 or None, got {population!r}")
    if restarts not in RESTARTS:
        raise OptionError(f"restarts must be one of {list(RESTARTS)}, got {restarts!r}")


def free_columns(problem: Problem) -> int:
    """Return how many columns can vary."""
    space = problem.space
    free = int((space.lower < space.upper).sum())
    return free - sum(bool(space.lower[c] < space.upper[c]) for c, _ in space.fidelity.values())


def free_kinds(problem: Problem) -> set[int]:
    """Return the kinds of the columns that can vary."""
    space = problem.space
    free = space.lower < space.upper
    free[[column for column, _ in space.fidelity.values()]] = False
    return {int(kind) for kind in np.unique(space.kind[free])}


def refuses_structure(problem: Problem) -> str | None:
    """What no normal distribution can do."""
    if problem.n_objectives > 1:
        return f"it has one objective, and the problem {problem.n_objectives}; nsga2 and smsemoa take several"
    kinds = free_kinds(problem)
    if PERMUTATION in kinds:
        return "no normal distribution moves permutations; ga and cem do"
    if SUBSET in kinds:
        return "no normal distribution moves subsets; ga and cem do"
    return None
